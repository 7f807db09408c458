"""A deleted campaign is gone from every answer at once; its links lead on, and its opt-outs stand."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.web.serving import (
    EMAIL,
    SHOP,
    Customer,
    Served,
    click_of,
    fields_of,
    problem_of,
    somebody,
    until,
)
from tracker.storage.installation import Files

pytestmark = pytest.mark.anyio

CAMPAIGNS = "/v1/campaigns"


def hold_back(served: Served) -> None:
    """Nothing is erased, as when the worker is dead or has much to do."""
    if isinstance(served.place, Files):
        served.main("create trigger held before delete on events begin select raise(abort, 'not now'); end")
    else:
        body = "$$ begin raise exception 'not now'; end $$"
        served.main(f"create or replace function hold() returns trigger language plpgsql as {body}")
        served.main("create trigger held before delete on events for each row execute function hold()")


async def erased(served: Served) -> None:
    """Wait until nothing is left to do."""
    served.main("drop trigger if exists held" + ("" if isinstance(served.place, Files) else " on events"))

    async def done() -> bool:
        return served.main("select count(*) from campaign_deletions where erasing = 1") == [(0,)]

    await until(done)


async def events_of(customer: Customer, **filters: str) -> list[dict[str, Any]]:
    """The events, once all that was recorded is one: a busy machine may take more than the second of the list."""

    async def caught_up() -> bool:
        return "tracker-lag" not in (await customer.api.get("/v1/events", params={"limit": 1})).headers

    await until(caught_up)
    return await customer.events(**filters)


async def feed(customer: Customer) -> list[tuple[int, str]]:
    data = (await customer.api.get("/v1/events/feed")).json()["data"]
    for entry in data:
        assert entry["type"] != "erased" or list(entry) == ["sequence", "id", "type"]
    return [(entry["sequence"], entry["type"]) for entry in data]


async def delete(customer: Customer, campaign: str = "spring-sale") -> int:
    return (await customer.api.delete(f"{CAMPAIGNS}/{campaign}")).status_code


async def test_deleted_campaign_is_in_no_answer(served: Served, customer: Customer) -> None:
    """From the 204 on, before anything is erased and after; what is of other campaigns is as it was."""
    gone, stays = await customer.make(), await customer.make(campaign="autumn", recipient={"email": somebody()})
    for made in (gone, stays):
        await served.reader.get(made["open_url"])
        await served.reader.get(click_of(made))
    assert len(await events_of(customer)) == 4
    hold_back(served)
    answer = await customer.api.delete(f"{CAMPAIGNS}/spring-sale")
    assert (answer.status_code, answer.content) == (204, b"")
    for appended in ([], [(5, "erased"), (6, "erased")]):
        assert {event["campaign"] for event in await events_of(customer)} == {"autumn"}
        assert await events_of(customer, campaign="spring-sale") == await events_of(customer, message=gone["id"]) == []
        assert [len(await events_of(customer, type=kind)) for kind in ("opened", "clicked")] == [1, 1]
        found = await customer.api.post("/v1/events/search", json={"email": EMAIL})
        assert found.json()["data"] == []
        message = (await customer.api.get(f"/v1/messages/{gone['id']}")).json()
        assert (message["events"], message["campaign"]) == ([], "spring-sale")
        entries = [(1, "erased"), (2, "erased"), (3, "opened"), (4, "clicked")]
        assert await feed(customer) == entries + appended
        await erased(served)
    assert served.main("select count(*) from events") == [(2,)]


async def test_feed_tells_which_event_was_erased(served: Served, customer: Customer) -> None:
    """Who kept a copy by its id knows what to forget."""
    made = await customer.make()
    await served.reader.get(made["open_url"])
    [event] = await events_of(customer)
    assert await delete(customer) == 204
    await erased(served)
    told = (await customer.api.get("/v1/events/feed?after=1")).json()
    assert told == {"data": [{"sequence": 2, "id": event["id"], "type": "erased"}], "next": 2}


async def test_links_lead_on_and_nobody_is_told_who_follows_them(served: Served, customer: Customer) -> None:
    """A promise: a link never breaks. What comes of it is no event any more, now or when there is a new campaign."""
    made = await customer.make()
    assert await delete(customer) == 204
    for _ in ("while it is gone", "and used again"):
        click = await served.reader.get(click_of(made))
        assert (click.status_code, click.headers["location"]) == (302, SHOP)
        assert (await served.reader.get(made["open_url"])).status_code == 200
        assert await events_of(customer) == []
        assert await feed(customer) == []
        again = await customer.make(recipient={"email": somebody()})
    await served.reader.get(again["open_url"])
    assert [event["message_id"] for event in await events_of(customer, campaign="spring-sale")] == [again["id"]]


async def test_opt_outs_stand_whatever_is_deleted(served: Served, customer: Customer) -> None:
    """What was said before the delete counts after it, and so does what is said later, which is an event of its own."""
    early = await customer.make()
    late = await customer.make(recipient={"email": "late@example.com"}, topic="offers")
    assert (await served.reader.post(early["unsubscribe_url"])).status_code == 200
    assert len(await events_of(customer)) == 1
    assert await delete(customer) == 204
    assert (await served.reader.post(late["unsubscribe_url"])).status_code == 200
    await erased(served)
    assert [row["allowed"] for row in await customer.check(EMAIL, "late@example.com")] == [False, False]
    [event] = await events_of(customer)
    assert (event["type"], event["campaign"], event["topic"]) == ("unsubscribed", None, "offers")
    assert (event["message_id"], event["recipient"]["email"]) == (late["id"], "late@example.com")
    rows = (await customer.api.get("/v1/suppressions")).json()["data"]
    assert {row["email"] for row in rows} == {EMAIL, "late@example.com"}


async def test_campaign_used_again_begins_fresh(served: Served, customer: Customer) -> None:
    """It can be deleted again, and the number of its messages starts with its own."""
    for _ in range(3):
        made = await customer.make(recipient={"email": somebody()})
        await served.reader.get(made["open_url"])
        assert [event["message_id"] for event in await events_of(customer)] == [made["id"]]
        assert served.main("select messages from campaigns") == [(1,)]
        assert await delete(customer) == 204
        assert await delete(customer) == 404
    await erased(served)
    assert await feed(customer) == [(number, "erased") for number in range(1, 7)]


async def test_what_is_no_campaign_is_not_found(served: Served, customer: Customer) -> None:
    """Byte for byte the same for what nobody has, what another has, and what is being erased or has been."""
    other = await served.customer("Rook")
    made = await other.make()
    await served.reader.get(made["open_url"])
    assert len(await events_of(other)) == 1
    theirs = await customer.api.delete(f"{CAMPAIGNS}/spring-sale")
    hold_back(served)
    assert await delete(other) == 204
    answers = [
        theirs,
        await customer.api.delete(f"{CAMPAIGNS}/nothing"),
        await customer.api.delete(f"{CAMPAIGNS}/{'x' * 101}"),
        await other.api.delete(f"{CAMPAIGNS}/spring-sale"),
    ]
    await erased(served)
    answers.append(await other.api.delete(f"{CAMPAIGNS}/spring-sale"))
    assert {answer.status_code for answer in answers} == {404}
    assert {problem_of(answer) for answer in answers} == {"not-found"}
    assert len({answer.content for answer in answers}) == 1
    assert len({fields_of(answer).split("ratelimit-policy")[0] for answer in answers}) == 1


@pytest.mark.parametrize("name", ["grün", "gru\u0308n", "50% off?", "a.b", "春"])
async def test_name_stands_percent_encoded_in_the_path(resident: Customer, name: str) -> None:
    """And is compared after normalisation."""
    await resident.make(campaign=name, recipient={"email": somebody()})
    assert await delete(resident, quote(name, safe="")) == 204
    assert await delete(resident, quote(name, safe="")) == 404


async def test_methods_that_are_not_there(resident: Customer) -> None:
    """405 with what there is, as for every path of the API; the list of campaigns is no path yet."""
    await resident.make(recipient={"email": somebody()})
    for method in ("GET", "PUT", "POST", "PATCH"):
        answer = await resident.api.request(method, f"{CAMPAIGNS}/spring-sale")
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE")
    assert (await resident.api.get(CAMPAIGNS)).status_code == 404
