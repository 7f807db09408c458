"""A call that is sent again under the same Idempotency-Key is answered again and not carried out again."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import httpx
import pytest

from tests.web.serving import EMAIL, Customer, Served, locked, problem_of, somebody
from tests.web.test_suppression_lifts import consent, opt_out
from tests.web.test_suppression_rows import ROWS, search
from tracker.app import App
from tracker.domain.receipts import KEPT_FOR_MS
from tracker.web.api import _Methods

pytestmark = pytest.mark.anyio

MESSAGES = "/v1/messages"
TABLES = ("messages", "recipients", "campaigns", "topics", "api_keys", "main.receipts")
INBOX_TABLES = ("suppressions", "suppression_changes", "suppression_lifts", "receipts")

_keys = itertools.count(1)


def new_key() -> str:
    """One that no other call of these tests has."""
    return f"key-{next(_keys)}"


class Asked(NamedTuple):
    """A call that has an effect; ``route`` is its path in the table, ``body`` of JSON, or CSV as a text."""

    route: str
    path: str
    body: Any

    @property
    def content_type(self) -> str:
        return "text/csv" if isinstance(self.body, str) else "application/json"

    def content(self, **more: Any) -> bytes:
        """The bytes of the body."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps({**self.body, **more}).encode()


Ask = Callable[[Served, Customer], Awaitable[Asked]]


async def message(_: Served, __: Customer) -> Asked:
    html = '<a href="https://shop.example.com/">Shop</a>'
    return Asked(MESSAGES, MESSAGES, {"campaign": "c", "topic": "t", "recipient": {"email": somebody()}, "html": html})


async def batch(_: Served, customer: Customer) -> Asked:
    """Of an accepted, a suppressed and an invalid recipient."""
    suppressed = somebody()
    await customer.api.post(ROWS, json={"email": suppressed, "reason": "manual"})
    recipients = [{"email": somebody()}, {"email": suppressed}, {"email": "nobody"}, {"email": EMAIL}]
    return Asked(f"{MESSAGES}/batch", f"{MESSAGES}/batch", {"campaign": "c", "recipients": recipients})


async def empty_batch(_: Served, __: Customer) -> Asked:
    """In which nobody may be written to."""
    return Asked(f"{MESSAGES}/batch", f"{MESSAGES}/batch", {"campaign": "c", "recipients": [{"email": "nobody"}]})


async def sent(_: Served, customer: Customer) -> Asked:
    """Of a message that there is, one that there is not, and what cannot be one."""
    made, at = await customer.make(recipient={"email": somebody()}), "2026-11-22T10:00:00Z"
    ids = (made["id"], "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1", "x")
    messages = [{"id": one, "sent_at": at} for one in ids]
    return Asked(f"{MESSAGES}/sent", f"{MESSAGES}/sent", {"messages": messages})


async def new_suppression(_: Served, __: Customer) -> Asked:
    return Asked(ROWS, ROWS, {"email": somebody(), "reason": "manual", "note": "by phone"})


async def same_suppression(_: Served, customer: Customer) -> Asked:
    """That stands already."""
    row = {"email": somebody(), "reason": "manual", "topic": "t"}
    assert (await customer.api.post(ROWS, json={**row, "note": "first"})).status_code == 201
    return Asked(ROWS, ROWS, row)


async def lift(served: Served, customer: Customer) -> Asked:
    row = await opt_out(served, customer, somebody())
    return Asked(f"{ROWS}/{{id:uuid}}/lift", f"{ROWS}/{row['id']}/lift", consent())


async def new_api_key(_: Served, __: Customer) -> Asked:
    return Asked("/v1/keys", "/v1/keys", {"name": "mailer", "scopes": ["messages"]})


async def imported(_: Served, customer: Customer) -> Asked:
    """Of several slices: new rows, one that stands, one twice and a bad line."""
    standing = somebody()
    await customer.api.post(ROWS, json={"email": standing, "reason": "manual"})
    lines = [*(somebody() for _ in range(300)), standing, standing, "nobody"]
    return Asked(f"{ROWS}/import", f"{ROWS}/import?reason=manual", "\n".join(lines))


CALLS: Mapping[str, Ask] = {
    one.__name__: one
    for one in (message, batch, empty_batch, sent, new_suppression, same_suppression, lift, new_api_key, imported)
}


async def post(customer: Customer, asked: Asked, key: str, **more: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key, "Content-Type": asked.content_type}
    return await customer.api.post(asked.path, content=asked.content(**more), headers=headers)


def stored(served: Served) -> list[Any]:
    """All that a call could change."""
    main = [served.main(f"select * from {table} order by 1, 2") for table in TABLES]
    return main + [served.inbox(f"select * from {table} order by 1, 2") for table in INBOX_TABLES]


def messages_of(served: Served, customer: Customer) -> int:
    """How many messages the customer has."""
    rows = served.main(f"select count(*) from messages where account_id = x'{customer.id.hex()}'")
    return int(rows[0][0])


def shown(answer: httpx.Response) -> tuple[int, Mapping[str, str], bytes]:
    """The whole answer, but for what says that it came again, its own id, and what is left of the quota."""
    own = ("idempotent-replayed", "request-id", "ratelimit")
    fields = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.status_code, fields, answer.content


def effects(app: App) -> dict[str, str | None]:
    """The routes that take a POST, with the files in which they have their effect."""
    steps = [route.app._methods for route in app.router.routes if isinstance(route.app, _Methods)]
    operations = [one["POST"]._operation for one in steps if "POST" in one]
    return {operation.path: operation.effect for operation in operations}


async def test_every_route_with_an_effect_is_tried_here(standing: Served, resident: Customer) -> None:
    """A new one belongs among the calls above."""
    tried = {(await ask(standing, resident)).route for ask in CALLS.values()}
    assert tried == {path for path, effect in effects(standing.app).items() if effect is not None}


@pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)
async def test_call_is_carried_out_once(standing: Served, resident: Customer, ask: Ask) -> None:
    """A10.2: sent again it gets the same status, fields and bytes, and changes nothing."""
    asked, key = await ask(standing, resident), new_key()
    first = await post(resident, asked, key)
    assert first.status_code < 300, first.text
    assert "idempotent-replayed" not in first.headers
    after = stored(standing)
    for written in (key, f'"{key}"'):
        again = await post(resident, asked, written)
        assert again.headers["idempotent-replayed"] == "true"
        assert shown(again) == shown(first) or ask is new_api_key
        assert stored(standing) == after


@pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)
async def test_key_of_another_request_is_refused(standing: Served, resident: Customer, ask: Ask) -> None:
    """A10.3: 422, whatever differs in the bytes of the body, and nothing is done."""
    asked, key = await ask(standing, resident), new_key()
    await post(resident, asked, key)
    after = stored(standing)
    headers = {"Idempotency-Key": key, "Content-Type": asked.content_type}
    again = await resident.api.post(asked.path, content=asked.content() + b" ", headers=headers)
    assert (again.status_code, problem_of(again)) == (422, "idempotency-key-reused")
    assert stored(standing) == after


async def test_key_belongs_to_the_whole_path(served: Served, customer: Customer) -> None:
    """A10.3: the same lift of another opt-out is another request."""
    asked, key = await lift(served, customer), new_key()
    await post(customer, asked, key)
    other = asked._replace(path=f"{ROWS}/01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1/lift")
    assert problem_of(await post(customer, other, key)) == "idempotency-key-reused"


async def test_key_belongs_to_its_account_and_route(served: Served, customer: Customer) -> None:
    """A10.6: the same key of another account, or at another route, is another call."""
    asked, key, other = await message(served, customer), new_key(), await served.customer("Osprey")
    ours, theirs = await post(customer, asked, key), await post(other, asked, key)
    assert (ours.status_code, theirs.status_code) == (201, 201)
    assert ours.json()["id"] != theirs.json()["id"]
    elsewhere = await post(customer, await new_suppression(served, customer), key)
    assert elsewhere.status_code == 201
    assert (await post(other, asked, key)).json() == theirs.json()


async def test_second_of_two_at_once_waits_its_turn(served: Served, customer: Customer) -> None:
    """A10.4: 409 with Retry-After while the first is at work; afterwards its answer."""
    asked, key = await message(served, customer), new_key()
    answers = await asyncio.gather(*(post(customer, asked, key) for _ in range(5)))
    (first,) = [one for one in answers if one.status_code == 201 and "idempotent-replayed" not in one.headers]
    early = [one for one in answers if one.status_code == 409]
    assert early
    for one in early:
        assert (problem_of(one), one.headers["retry-after"]) == ("idempotency-key-in-use", "1")
    assert shown(await post(customer, asked, key)) == shown(first)
    assert messages_of(served, customer) == 1


@pytest.mark.parametrize("ask", [message, batch, new_suppression, lift])
async def test_call_that_was_cut_off_is_carried_out_once(served: Served, customer: Customer, ask: Ask) -> None:
    """A10.8: at whatever moment nobody waits for it any more, its effect and its receipt come together."""
    for moment in range(12):
        asked, key = await ask(served, customer), new_key()
        cut_off = asyncio.create_task(post(customer, asked, key))
        await asyncio.sleep(0.001 * moment)
        cut_off.cancel()
        first, again = await post(customer, asked, key), await post(customer, asked, key)
        assert first.status_code == again.status_code < 300
        assert again.headers["idempotent-replayed"] == "true"
        assert again.content == first.content
    if ask is message:
        assert messages_of(served, customer) == 12
    assert len(await customer.events(type="resubscribed")) == (12 if ask is lift else 0)


async def test_key_is_free_after_a_day(served: Served, customer: Customer) -> None:
    """A10.7: whether or not its receipt has been removed; a second before it holds."""
    asked, key = await message(served, customer), new_key()
    first = await post(customer, asked, key)
    served.main(f"update receipts set created_at = created_at - {KEPT_FOR_MS - 60_000}")
    assert (await post(customer, asked, key)).json() == first.json()
    served.main("update receipts set created_at = created_at - 60000")
    later = await post(customer, asked, key)
    assert (later.status_code, "idempotent-replayed" in later.headers) == (201, False)
    assert later.json()["id"] != first.json()["id"]
    assert (await post(customer, asked, key)).json() == later.json()


async def test_what_changed_nothing_keeps_no_key(served: Served, customer: Customer) -> None:
    """A problem is no result: mended, or when its cause is gone, the same key does what it is sent for."""
    asked, key = await message(served, customer), new_key()
    assert (await post(customer, asked, key, campaign="a/b")).status_code == 422
    email = asked.body["recipient"]["email"]
    row = (await customer.api.post(ROWS, json={"email": email, "reason": "manual"})).json()
    assert problem_of(await post(customer, asked, key)) == "recipient-suppressed"
    assert served.main("select * from main.receipts") == []
    await customer.api.delete(f"{ROWS}/{row['id']}")
    assert (await post(customer, asked, key)).status_code == 201


async def test_outage_keeps_no_key(served: Served, customer: Customer) -> None:
    """What was answered 503 is carried out when it is sent again."""
    asked, key = await message(served, customer), new_key()
    with locked(served.files.main):
        assert problem_of(await post(customer, asked, key)) == "unavailable"
    answer = await post(customer, asked, key)
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, False)
    assert messages_of(served, customer) == 1


async def test_nobody_is_accepted_again_who_left_meanwhile(served: Served, customer: Customer) -> None:
    """An answer with links says "send": after an opt-out it must not come, and after its undo it may."""
    asked, key = await message(served, customer), new_key()
    first = await post(customer, asked, key)
    await served.reader.post(first.json()["unsubscribe_url"])
    again = await post(customer, asked, key)
    assert (again.status_code, problem_of(again)) == (409, "recipient-suppressed")
    assert (again.json()["reason"], again.json()["scope"]) == ("unsubscribed", "account")
    assert "idempotent-replayed" not in again.headers
    await served.reader.post(first.json()["preferences_url"], content=b"action=undo")
    assert shown(await post(customer, asked, key)) == shown(first)
    assert messages_of(served, customer) == 1


async def test_nobody_of_a_batch_is_accepted_again_who_left_meanwhile(served: Served, customer: Customer) -> None:
    """Their item says so, the others are what they were; one who was refused then stays refused."""
    asked, key = await batch(served, customer), new_key()
    first = (await post(customer, asked, key)).json()["data"]
    assert [one["status"] for one in first] == ["accepted", "suppressed", "invalid", "accepted"]
    await served.reader.post(first[3]["unsubscribe_url"])
    served.inbox("delete from suppressions where reason = 'manual'")
    again = (await post(customer, asked, key)).json()["data"]
    assert again[3] == {"status": "suppressed", "email": EMAIL, "reason": "unsubscribed", "scope": "account"}
    assert again[:3] == first[:3]
    assert messages_of(served, customer) == 2


async def test_opt_out_from_the_topic_of_a_message_counts_when_it_is_sent_again(
    served: Served, customer: Customer
) -> None:
    """As it does at the first time."""
    asked, key = await message(served, customer), new_key()
    await post(customer, asked, key)
    row = {"email": asked.body["recipient"]["email"], "reason": "unsubscribed", "topic": "t"}
    await customer.api.post(ROWS, json=row)
    again = await post(customer, asked, key)
    assert (problem_of(again), again.json()["scope"]) == ("recipient-suppressed", "topic")


async def test_secret_is_not_shown_again(served: Served, customer: Customer) -> None:
    """It is kept nowhere. The answer names the key, so that it can be revoked and another made."""
    asked, key = await new_api_key(served, customer), new_key()
    first = await post(customer, asked, key)
    again = await post(customer, asked, key)
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    assert again.json() == {**first.json(), "api_key": None}


async def test_suppression_deleted_since_is_answered_without_its_words(served: Served, customer: Customer) -> None:
    """As in the log of changes: they went with the row, and it does not come back."""
    asked, key = await new_suppression(served, customer), new_key()
    first = (await post(customer, asked, key)).json()
    await customer.api.delete(f"{ROWS}/{first['id']}")
    again = await post(customer, asked, key)
    assert (again.status_code, again.json()) == (201, {**first, "email": None, "note": None})
    assert served.suppressions() == 0


async def test_erased_recipient_is_answered_without_an_id(served: Served, customer: Customer) -> None:
    """A message that is gone is not made again."""
    asked, key = await message(served, customer), new_key()
    first = (await post(customer, asked, key)).json()
    served.main("delete from messages")
    again = await post(customer, asked, key)
    assert again.json() == {**first, "recipient": {**first["recipient"], "id": None}}
    assert messages_of(served, customer) == 0


BAD = [b"", b'""', b'"', b"a b", b'"a', b"x" * 256, b'"' + b"x" * 256 + b'"', b'"\\n"', b"\xc3\xa9", b'"a";"b"']


@pytest.mark.parametrize("value", BAD)
async def test_bad_key_is_refused(standing: Served, resident: Customer, value: bytes) -> None:
    """400 that says what a key is, at every route that takes a POST, before anything is done."""
    before = stored(standing)
    for path in effects(standing.app):
        path_asked = path.replace("{id:uuid}", "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1")
        answer = await resident.api.post(path_asked, content=b"{", headers=[(b"Idempotency-Key", value)])
        assert (answer.status_code, problem_of(answer)) == (400, "bad-idempotency-key"), path
    assert stored(standing) == before


async def test_two_keys_are_none(standing: Served, resident: Customer) -> None:
    """Which of them would it be?"""
    asked = await message(standing, resident)
    answer = await resident.api.post(
        asked.path, json=asked.body, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    )
    assert (answer.status_code, problem_of(answer)) == (400, "bad-idempotency-key")


async def test_question_takes_a_key_and_keeps_none(standing: Served, resident: Customer) -> None:
    """A POST that changes nothing is answered with what is true now; methods that can be repeated ignore it."""
    key, email = new_key(), somebody()
    headers = {"Idempotency-Key": key}
    before = stored(standing)
    for path, body in (
        ("/v1/suppressions/check", {"recipients": [email]}),
        ("/v1/suppressions/search", {"email": email}),
        ("/v1/events/search", {"email": email}),
    ):
        for _ in range(2):
            answer = await resident.api.post(path, json=body, headers=headers)
            assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)
    assert (await resident.api.get("/v1/events", headers={"Idempotency-Key": "a b"})).status_code == 200
    assert stored(standing) == before


async def test_receipts_hold_nothing_that_was_written(served: Served, customer: Customer) -> None:
    """Neither an address nor a key, which may be one: erasing a person need not look here."""
    written = []
    for name, ask in CALLS.items():
        asked = await ask(served, customer)
        key = f"welcome-{name}-ada@example.com"
        assert (await post(customer, asked, key)).status_code < 300
        written += [key, "welcome", "example", *(one["email"] for one in await search(customer))]
    rows = served.main("select * from main.receipts") + (
        [] if served.shared else served.inbox("select * from receipts")
    )
    assert len(rows) == len(CALLS)
    assert [word for word in written if word.encode() in repr(rows).encode()] == []


async def test_same_row_added_by_many_at_once_is_added_once(served: Served, customer: Customer) -> None:
    """Whoever comes second finds it standing; nobody is turned away."""
    asked = await new_suppression(served, customer)
    answers = await asyncio.gather(*(post(customer, asked, new_key()) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert served.suppressions() == 1
