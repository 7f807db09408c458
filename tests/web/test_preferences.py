"""A person sees what stands, and takes their own opt-out back for a day; nobody else's list is touched."""

import asyncio
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from tests.web.serving import EMAIL, SAFE, Customer, Served, path_of, token_of
from tracker.domain.keys import Keyring, new_secret
from tracker.domain.links import Links
from tracker.storage.opt_outs import OptedOut, Stands
from tracker.web.persons import undo_until

pytestmark = pytest.mark.anyio

UNDO = {"action": "undo"}
DAY_MS = 24 * 60 * 60 * 1000


def text_of(html: str) -> str:
    """What a person reads, on one line."""
    return " ".join(LexborHTMLParser(html).css("main")[0].text().split())


async def opted_out(served: Served, customer: Customer) -> dict[str, Any]:
    """A message whose reader has opted out."""
    made = await customer.make()
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
    return made


def age(served: Served, by_ms: int) -> None:
    """The opt-outs are older than they are."""
    served.inbox(f"update suppressions set created_at = created_at - {by_ms}")


def rows(served: Served) -> list[tuple[Any, ...]]:
    return served.inbox("select * from suppressions order by id")


def copy_for(served: Served, reason: str, origin: str) -> None:
    """Another row for the same address, as a customer or a report makes it."""
    columns = "account_id, address_key, scope, topic, reason, origin, id, created_at"
    values = f"account_id, address_key, scope, topic, '{reason}', '{origin}', randomblob(16), created_at"
    served.inbox(f"insert into suppressions ({columns}) select {values} from suppressions")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_look_changes_nothing(served: Served, customer: Customer, method: str) -> None:
    """Nor does a POST of any other form: it shows what stands."""
    made = await opted_out(served, customer)
    before, events = rows(served), await customer.events()
    answer = await served.reader.request(method, made["preferences_url"])
    assert answer.status_code == 200
    assert SAFE.items() <= dict(answer.headers).items()
    assert rows(served) == before
    assert await customer.events() == events


async def test_page_shows_what_stands(served: Served, customer: Customer) -> None:
    """Who sends, to whom (masked), opted out or not, and since when."""
    made = await customer.make()
    before = text_of((await served.reader.get(made["preferences_url"])).text)
    assert "You are not unsubscribed" in before
    assert "Larkspur may write to A•••@E•••.com" in before
    await served.reader.post(made["unsubscribe_url"])
    served.inbox("update suppressions set created_at = 1795341600000")
    after = text_of((await served.reader.get(made["preferences_url"])).text)
    assert "You are unsubscribed" in after
    assert "Since 22 November 2026, 10:00 UTC, Larkspur may no longer write to A•••@E•••.com" in after
    assert EMAIL.lower() not in (before + after).lower()


async def test_button_of_the_page_opts_out(served: Served, customer: Customer) -> None:
    """Who is not unsubscribed finds the way out here too."""
    made = await customer.make()
    page = LexborHTMLParser((await served.reader.get(made["preferences_url"])).text)
    (form,) = page.css("form")
    answer = await served.reader.post(str(form.attributes["action"]), data={"page": "1"})
    assert answer.status_code == 200
    assert not await customer.may_write_to()


async def test_confirmation_offers_the_undo(served: Served, customer: Customer) -> None:
    """Its button posts to the preference page, and that is enough."""
    made = await customer.make()
    confirmed = await served.reader.post(made["unsubscribe_url"], data={"page": "1"})
    (form,) = LexborHTMLParser(confirmed.text).css("form")
    fields = {str(node.attributes["name"]): str(node.attributes["value"]) for node in form.css("input")}
    assert fields == UNDO
    assert not await customer.may_write_to()
    answer = await served.reader.post(str(form.attributes["action"]), data=fields)
    assert answer.status_code == 200
    assert "Your opt-out is undone" in text_of(answer.text)
    assert await customer.may_write_to()


async def test_repeated_opt_out_offers_an_undo_as_long_as_it_works(served: Served, customer: Customer) -> None:
    """The day is that of the first; after it the page leads to where it stands how to return."""
    made = await opted_out(served, customer)
    age(served, DAY_MS - 60_000)
    in_time = await served.reader.post(made["unsubscribe_url"], data={"page": "1"})
    assert len(LexborHTMLParser(in_time.text).css("form")) == 1
    age(served, 60_000)
    too_late = await served.reader.post(made["unsubscribe_url"], data={"page": "1"})
    assert too_late.status_code == 200
    page = LexborHTMLParser(too_late.text)
    assert "You are unsubscribed" in text_of(too_late.text)
    assert page.css("form") == []
    (link,) = page.css("main a")
    assert "Sign up again with Larkspur" in text_of((await served.reader.get(str(link.attributes["href"]))).text)


STOPPING = [("complained", "report"), ("complained", "recipient"), ("bounced", "report"), ("manual", "customer")]


@pytest.mark.parametrize(("reason", "origin"), STOPPING)
async def test_nobody_is_told_that_mail_may_come_when_it_may_not(
    served: Served, customer: Customer, reason: str, origin: str
) -> None:
    """Whatever stands against the address; why, since when and what the customer noted stays the customer's."""
    made = await opted_out(served, customer)
    copy_for(served, reason, origin)
    served.inbox("update suppressions set note = 'rude on the phone', created_at = created_at - 1000000000")
    served.inbox("update suppressions set created_at = created_at + 1000000000 where reason = 'unsubscribed'")
    undone = text_of((await served.reader.post(made["preferences_url"], data=UNDO)).text)
    assert "Your opt-out is undone" in undone
    shown = await served.reader.get(made["preferences_url"])
    assert "You are not unsubscribed" in text_of(shown.text)
    for text in (undone, text_of(shown.text)):
        assert "may write to" not in text
        assert "stopped for another reason" in text
        assert not [word for word in (reason[:6], "rude", "UTC", "report") if word in text]
    (form,) = LexborHTMLParser(shown.text).css("form")
    await served.reader.post(str(form.attributes["action"]), data={"page": "1"})
    assert "You are unsubscribed" in text_of((await served.reader.get(made["preferences_url"])).text)


async def test_suppression_of_a_topic_says_nothing_of_all_mail(served: Served, customer: Customer) -> None:
    """The sender may write about anything else."""
    made = await customer.make()
    await customer.api.post("/v1/suppressions", json={"email": EMAIL, "reason": "manual", "topic": "offers"})
    assert "Larkspur may write to" in text_of((await served.reader.get(made["preferences_url"])).text)


async def test_undo_is_an_event(served: Served, customer: Customer) -> None:
    """In list and feed, of a person, with its method; the opt-out's own event stays."""
    made = await opted_out(served, customer)
    await served.reader.post(made["preferences_url"], data=UNDO)
    first, second = await customer.events()
    assert (first["type"], second["type"], second["method"]) == ("unsubscribed", "resubscribed", "undo")
    assert second["verdict"] == {"value": "human", "class": None, "signals": []}
    assert second["message_id"] == made["id"]
    assert second["recipient"]["email"] == EMAIL
    assert [event["id"] for event in await customer.events(type="resubscribed")] == [second["id"]]
    feed = (await customer.api.get("/v1/events/feed?after=0")).json()["data"]
    assert [event["type"] for event in feed] == ["unsubscribed", "resubscribed"]


async def test_undo_again_changes_nothing(served: Served, customer: Customer) -> None:
    """Whoever presses twice is told that there is nothing to undo; at the same moment too."""
    made = await opted_out(served, customer)
    answers = await asyncio.gather(*(served.reader.post(made["preferences_url"], data=UNDO) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    again = await served.reader.post(made["preferences_url"], data=UNDO)
    assert again.status_code == 200
    assert "There was nothing to undo." in text_of(again.text)
    assert [event["type"] for event in await customer.events()] == ["unsubscribed", "resubscribed"]


async def test_opting_out_again_holds(served: Served, customer: Customer) -> None:
    """An undo takes back what stood, and nothing that comes after it."""
    made = await opted_out(served, customer)
    await served.reader.post(made["preferences_url"], data=UNDO)
    await served.reader.post(made["unsubscribe_url"])
    assert not await customer.may_write_to()
    assert [event["type"] for event in await customer.events()] == ["unsubscribed", "resubscribed", "unsubscribed"]


async def test_undo_comes_too_late_after_a_day(served: Served, customer: Customer) -> None:
    """409 with how to return; the page offers no button that would not work."""
    made = await opted_out(served, customer)
    age(served, DAY_MS)
    answer = await served.reader.post(made["preferences_url"], data=UNDO)
    assert answer.status_code == 409
    assert "Sign up again with Larkspur" in text_of(answer.text)
    shown = await served.reader.get(made["preferences_url"])
    assert "Sign up again with Larkspur" in text_of(shown.text)
    assert not LexborHTMLParser(shown.text).css("form")
    assert not await customer.may_write_to()
    assert len(await customer.events()) == 1


async def test_undo_is_good_until_the_day_is_over(served: Served, customer: Customer) -> None:
    """A minute before its end it works."""
    made = await opted_out(served, customer)
    age(served, DAY_MS - 60_000)
    assert (await served.reader.post(made["preferences_url"], data=UNDO)).status_code == 200
    assert await customer.may_write_to()


@pytest.mark.parametrize(
    ("own_since", "until"), [(None, None), (1, None), (2, 2 + DAY_MS), (DAY_MS, 2 * DAY_MS), (2 * DAY_MS, 3 * DAY_MS)]
)
def test_own_opt_out_can_be_undone_for_a_day(own_since: int | None, until: int | None) -> None:
    """To the millisecond, and only the person's own."""
    assert undo_until(Stands(OptedOut(0, b"id", own_since), otherwise=False), DAY_MS + 1) == until


@pytest.mark.parametrize(
    ("reason", "origin"),
    [("unsubscribed", "customer"), ("complained", "report"), ("bounced", "report"), ("manual", "customer")],
)
async def test_undo_touches_no_other_row(served: Served, customer: Customer, reason: str, origin: str) -> None:
    """What a customer or a report put there stays, and the check says so."""
    made = await opted_out(served, customer)
    copy_for(served, reason, origin)
    answer = await served.reader.post(made["preferences_url"], data=UNDO)
    assert answer.status_code == 200
    assert ("Your opt-out is undone" in text_of(answer.text)) == (reason != "unsubscribed")
    assert served.inbox("select reason, origin from suppressions") == [(reason, origin)]
    assert (await customer.check(EMAIL))[0]["reason"] == reason


async def test_undo_touches_no_other_person_and_no_other_account(served: Served, customer: Customer) -> None:
    """The token says whose opt-out is meant."""
    made = await opted_out(served, customer)
    other = await customer.make(recipient={"email": "b@example.com"})
    stranger = await served.customer("Rook")
    theirs = await stranger.make()
    for message in (other, theirs):
        await served.reader.post(message["unsubscribe_url"])
    await served.reader.post(made["preferences_url"], data=UNDO)
    assert await customer.may_write_to()
    assert not await customer.may_write_to("b@example.com")
    assert not await stranger.may_write_to()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"action=undone",
        b"xaction=undo",
        b"action=UNDO",
        b'{"action": "undo"}',
        b"a=" + b"x" * 9_000 + b"&action=undo",
    ],
)
async def test_only_our_form_undoes(served: Served, customer: Customer, body: bytes) -> None:
    """As far as the first 8 KiB say; anything else shows what stands."""
    made = await opted_out(served, customer)
    answer = await served.reader.post(made["preferences_url"], content=body)
    assert answer.status_code == 200
    assert "You are unsubscribed" in text_of(answer.text)
    assert not await customer.may_write_to()


async def test_storage_that_fails_is_said(served: Served, customer: Customer) -> None:
    """503 and when to come again, on looking and on pressing; nothing is said to be done."""
    made = await opted_out(served, customer)
    served.inbox("alter table suppressions rename to elsewhere")
    for answer in (
        await served.reader.get(made["preferences_url"]),
        await served.reader.post(made["preferences_url"], data=UNDO),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    assert "It still stands" in text_of(answer.text)
    served.inbox("alter table elsewhere rename to suppressions")
    assert not await customer.may_write_to()


async def test_account_never_heard_of_is_asked_to_come_again(served: Served, customer: Customer) -> None:
    """As for the opt-out itself."""
    token = served.links.sign_preferences(b"unknown!", bytes(16), bytes(16))
    assert (await served.reader.get(f"/p/{token}")).status_code == 503
    assert (await served.reader.post(f"/p/{token}", data=UNDO)).status_code == 503


async def test_bad_token_changes_nothing(served: Served, customer: Customer) -> None:
    """404, with another purpose's token too: who can opt out by a link cannot undo by it."""
    made = await opted_out(served, customer)
    strange = Links(Keyring({1: new_secret()})).sign_preferences(customer.id, bytes(16), bytes(16))
    for token in (token_of(made["unsubscribe_url"]), token_of(made["preferences_url"])[:-1], strange, "x"):
        for method in ("GET", "POST"):
            answer = await served.reader.request(method, f"/p/{token}", content=b"action=undo")
            assert answer.status_code == 404
    assert not await customer.may_write_to()


async def test_method_that_is_none_of_its_own_is_refused(served: Served, customer: Customer) -> None:
    """With those that are."""
    made = await customer.make()
    answer = await served.reader.put(path_of(made["preferences_url"]))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
