"""Ten thousand recipients are one call, one transaction and one answer each."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.web.serving import BASE_URL, EMAIL, Customer, Served, pointers_of, problem_of, somebody, token_of

pytestmark = pytest.mark.anyio

BATCH = "/v1/messages/batch"
TABLES = ("messages", "recipients", "campaigns", "topics")


def recipients_of(*emails: str) -> list[dict[str, Any]]:
    """Recipients of whom the address alone is known."""
    return [{"email": email} for email in emails]


async def make(customer: Customer, *recipients: Any, **more: Any) -> list[dict[str, Any]]:
    """The answer about each recipient."""
    answer = await customer.api.post(BATCH, json={"campaign": "spring-sale", "recipients": recipients, **more})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def test_accepted_item_is_what_a_single_call_answers(standing: Served, resident: Customer) -> None:
    """The fields of a message without its parts; asked for later, it is the same, and its links work."""
    email = somebody()
    recipient = {"email": email, "external_id": "crm-42", "metadata": {"segment": "b"}}
    [item] = await make(resident, recipient, topic="offers")
    assert item.pop("status") == "accepted"
    found = (await resident.api.get(f"/v1/messages/{item['id']}")).json()
    assert found == {**item, "metadata": {"segment": "b"}, "sent_at": None, "events": [], "events_next": None}
    single = await resident.make(recipient={"email": email})
    assert set(item) == set(single) - {"html", "text", "links"}
    assert item["recipient"] == {**single["recipient"], "external_id": "crm-42"}
    assert standing.links.read_open(token_of(item["open_url"])).account == resident.id
    assert (await standing.reader.post(item["unsubscribe_url"])).status_code == 200
    assert not await resident.may_write_to(email)


async def test_answers_stand_in_the_order_given(served: Served, customer: Customer) -> None:
    """Accepted, suppressed and invalid ones each in their place; a suppressed one gets no links."""
    made = await customer.make()
    await served.reader.post(made["unsubscribe_url"])
    items = await make(customer, *recipients_of("one@example.com", EMAIL.lower(), "none", "two@example.com"))
    assert [item["status"] for item in items] == ["accepted", "suppressed", "invalid", "accepted"]
    assert items[1] == {
        "status": "suppressed",
        "email": EMAIL.lower(),
        "reason": "unsubscribed",
        "scope": "account",
    }
    assert items[0]["recipient"]["email"] == "one@example.com"
    assert items[3]["recipient"]["email"] == "two@example.com"
    assert served.main("select count(*) from messages") == [(3,)]
    assert served.main("select messages from campaigns") == [(3,)]


async def test_opt_out_of_a_topic_stops_that_topic_alone(served: Served, customer: Customer) -> None:
    """The topic of the batch is asked for."""
    made = await customer.make()
    await served.reader.post(made["unsubscribe_url"])
    served.inbox("update suppressions set scope = 'topic', topic = 'offers'")
    [stopped] = await make(customer, {"email": EMAIL}, topic="offers")
    assert (stopped["status"], stopped["scope"]) == ("suppressed", "topic")
    assert [item["status"] for item in await make(customer, {"email": EMAIL}, topic="news")] == ["accepted"]


FLAWED: dict[str, tuple[Any, str | None, str]] = {
    "no address": ({"email": "ada"}, "ada", "/email"),
    "no string": ({"email": 7}, None, "/email"),
    "nothing": ({}, None, "/email"),
    "an unknown field": ({"email": EMAIL, "e-mail": EMAIL}, EMAIL, "/e-mail"),
    "a long external id": ({"email": EMAIL, "external_id": "x" * 201}, EMAIL, "/external_id"),
    "long metadata": ({"email": EMAIL, "metadata": {"k": "v" * 501}}, EMAIL, "/metadata/k"),
    "metadata in metadata": ({"email": EMAIL, "metadata": {"k": []}}, EMAIL, "/metadata"),
    "an address alone": (EMAIL, None, ""),
    "null": (None, None, ""),
    "a list": ([EMAIL], None, ""),
}


@pytest.mark.parametrize(("given", "email", "pointer"), FLAWED.values(), ids=FLAWED)
async def test_no_item_fails_the_call(resident: Customer, given: Any, email: str | None, pointer: str) -> None:
    """It is answered as invalid with where and why, and its neighbours are made."""
    before, item, after = await make(resident, {"email": somebody()}, given, {"email": somebody()})
    assert (before["status"], after["status"]) == ("accepted", "accepted")
    assert item.pop("detail")
    assert item == {"status": "invalid", "email": email, "pointer": f"#/recipients/1{pointer}"}


async def test_item_that_cannot_be_decoded_fails_alone(resident: Customer) -> None:
    """Bytes that are no UTF-8, and nesting without an end."""
    deep = b"[" * 900 + b"]" * 900
    for spoilt in (
        b'{"email": "\xff@example.com"}',
        b'{"metadata": ' + deep + b"}",
    ):
        content = b'{"campaign": "a", "recipients": [' + spoilt + b', {"email": "a@example.com"}]}'
        answer = await resident.api.post(BATCH, content=content)
        assert answer.status_code == 200, answer.text
        assert [item["status"] for item in answer.json()["data"]] == ["invalid", "accepted"]


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"campaign": "a/b"}, ["#/campaign"]),
        ({"campaign": None}, ["#/campaign"]),
        ({"topic": ""}, ["#/topic"]),
        ({"tracking": {"open": True}}, ["#/tracking/open"]),
        ({"html": "<p>"}, ["#/html"]),
        ({"recipients": {}}, ["#/recipients"]),
        ({"recipients": [{"email": EMAIL}] * 10_001}, ["#/recipients"]),
    ],
)
async def test_what_is_said_for_all_must_be_right(
    resident: Customer, changes: dict[str, Any], pointers: list[str]
) -> None:
    """A name that cannot be one is wrong for each of the messages: 422."""
    wanted = {"campaign": "spring-sale", "recipients": [{"email": EMAIL}], **changes}
    assert pointers_of(await resident.api.post(BATCH, json=wanted)) == pointers


async def test_same_address_twice_is_two_messages_to_one_recipient(resident: Customer) -> None:
    """Each with links of its own; of two external ids the recipient keeps the last."""
    email = somebody()
    first, second = await make(
        resident, {"email": email, "external_id": "one"}, {"email": email.replace("example", "EXAMPLE")}
    )
    assert first["id"] != second["id"]
    assert first["unsubscribe_url"] != second["unsubscribe_url"]
    assert first["recipient"]["id"] == second["recipient"]["id"]
    assert second["recipient"]["external_id"] is None


async def test_names_are_compared_after_normalisation(resident: Customer) -> None:
    """ä typed in two ways is one campaign (NFC)."""
    [item] = await make(resident, {"email": somebody()}, campaign="fru\u0308hling", topic="gru\u0308n")
    assert (item["campaign"], item["topic"]) == ("frühling", "grün")


async def test_tracking_counts_for_all(resident: Customer) -> None:
    """Without opens there is no pixel."""
    [item] = await make(resident, {"email": somebody()}, tracking={"opens": False})
    assert item["open_url"] is None


async def test_nothing_is_made_where_nobody_is_accepted(served: Served, customer: Customer) -> None:
    """Neither a campaign nor a topic: both begin with a message."""
    assert await make(customer, topic="offers") == []
    assert [item["status"] for item in await make(customer, {"email": "none"}, topic="offers")] == ["invalid"]
    for table in TABLES:
        assert served.main(f"select count(*) from {table}") == [(0,)]


async def test_recipients_of_one_account_are_unknown_to_another(standing: Served, resident: Customer) -> None:
    """The same address is another recipient there, and an opt-out there stops nothing here (B-7)."""
    other, email = await standing.customer("Rook"), somebody()
    [theirs] = await make(other, {"email": email, "external_id": "theirs"})
    await standing.reader.post(theirs["unsubscribe_url"])
    [ours] = await make(resident, {"email": email})
    assert ours["status"] == "accepted"
    assert ours["recipient"]["id"] != theirs["recipient"]["id"]
    assert (await resident.api.get(f"/v1/messages/{theirs['id']}")).status_code == 404


async def test_key_needs_the_scope(standing: Served) -> None:
    """403 names what is missing."""
    other = await standing.customer("Rook", scopes=["events"])
    answer = await other.api.post(BATCH, json={"campaign": "a", "recipients": []})
    assert (answer.status_code, answer.json()["scope"]) == (403, "messages")


async def test_ten_thousand_are_one_call_that_no_pixel_waits_for(served: Served, customer: Customer) -> None:
    """All of them, in one transaction, with one row of numbers; readers are answered meanwhile."""
    made = await customer.make(campaign="another")
    answers: list[httpx.Response] = []
    async with asyncio.TaskGroup() as group:
        batch = group.create_task(make(customer, *recipients_of(*(f"r{n}@example.com" for n in range(10_000)))))
        while not batch.done():
            answers.append(await served.reader.get(made["open_url"]))
    items = batch.result()
    assert {answer.status_code for answer in answers} == {200}
    assert len(answers) > 10
    assert [item["recipient"]["email"] for item in items] == [f"r{n}@example.com" for n in range(10_000)]
    assert len({item["recipient"]["id"] for item in items}) == 10_000
    assert served.main("select messages from campaigns where name = 'spring-sale'") == [(10_000,)]


@pytest.mark.parametrize("table", ["suppressions", "messages"])
async def test_all_or_none_of_a_batch_are_made(served: Served, customer: Customer, table: str) -> None:
    """503 and not one row, when opt-outs cannot be read or a message cannot be stored."""
    change = served.inbox if table == "suppressions" else served.main
    change(f"alter table {table} rename to elsewhere")
    answer = await customer.api.post(BATCH, json={"campaign": "a", "recipients": recipients_of(somebody(), somebody())})
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
    assert served.main("select count(*) from recipients") == [(0,)]
    assert served.main("select count(*) from campaigns") == [(0,)]
    assert f"{BASE_URL}/u/" not in answer.text
