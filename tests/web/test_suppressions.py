"""May I write to these? Answered in order, for all of them, and never "yes" when in doubt."""

import asyncio
import random
import time
from typing import Any

import pytest

from tests.web.serving import EMAIL, Customer, Served, pointers_of, problem_of, somebody

pytestmark = pytest.mark.anyio

CHECK = "/v1/suppressions/check"
ALLOWED = {"allowed": True, "reason": None, "scope": None, "since": None}
INVALID = {"allowed": False, "reason": "invalid", "scope": None, "since": None}


async def opted_out(served: Served, customer: Customer, email: str) -> None:
    """This person leaves this customer."""
    made = await customer.make(recipient={"email": email})
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200


async def test_answers_stand_in_the_order_asked(standing: Served, resident: Customer) -> None:
    """One entry an address, as it was written; the same address twice is answered twice."""
    gone, here = somebody(), somebody()
    await opted_out(standing, resident, gone)
    asked = [here, gone, "no address", here, gone.upper(), ""]
    found = await resident.check(*asked)
    assert [entry["recipient"] for entry in found] == asked
    assert [entry["allowed"] for entry in found] == [True, False, False, True, False, False]


async def test_entry_has_the_shape_of_the_contract(standing: Served, resident: Customer) -> None:
    """Reason, scope and since when for who left; three nulls for who may be written to."""
    gone, here = somebody(), somebody()
    before = time.time() - 1
    await opted_out(standing, resident, gone)
    allowed, refused, invalid = await resident.check(here, gone, "ada@")
    assert allowed == {"recipient": here, **ALLOWED}
    assert invalid == {"recipient": "ada@", **INVALID}
    since = refused.pop("since")
    assert refused == {"recipient": gone, "allowed": False, "reason": "unsubscribed", "scope": "account"}
    assert since.endswith("Z")
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before)) <= since[:19]


async def test_every_spelling_of_an_address_is_one_opt_out(served: Served, customer: Customer) -> None:
    """A miss would write to somebody who left: so opt-outs match broadly (A15.4, A15.5)."""
    await opted_out(served, customer, "Ada.Lovelace@Example.com")
    spelt = ["ada.lovelace@example.com", "ADA.LOVELACE@EXAMPLE.COM", '"ada.lovelace"@example.com']
    others = ["adalovelace@example.com", "ada.lovelace+news@example.com", "ada.lovelace@example.org"]
    found = await customer.check(*spelt, *others)
    assert [entry["allowed"] for entry in found] == [False] * 3 + [True] * 3


async def test_what_is_no_address_never_fails_the_call(resident: Customer) -> None:
    """Bulk calls answer for each item: invalid ones are not allowed, the rest is told."""
    odd: list[Any] = [
        None,
        7,
        True,
        1.5,
        {},
        [],
        {"email": EMAIL},
        "a@b@c.example",
        "a\nb@c.example",
        "x" * 5_000,
        "\0",
    ]
    here = somebody()
    answer = await resident.api.post(CHECK, json={"recipients": [*odd, here]})
    assert answer.status_code == 200
    *invalid, last = answer.json()["data"]
    assert invalid == [{"recipient": item, **INVALID} for item in odd]
    assert last == {"recipient": here, **ALLOWED}


async def test_ten_thousand_are_answered_at_once(standing: Served, resident: Customer) -> None:
    """The most there may be, in one fast call."""
    gone = [somebody() for _ in range(3)]
    for email in gone:
        await opted_out(standing, resident, email)
    asked = [f"Person.{number}@Example.com" for number in range(9_997)] + gone
    random.Random(4).shuffle(asked)
    async with asyncio.timeout(2):
        found = await resident.check(*asked)
    assert [entry["recipient"] for entry in found] == asked
    assert {entry["recipient"] for entry in found if not entry["allowed"]} == set(gone)


async def test_one_more_than_ten_thousand_is_too_many(resident: Customer) -> None:
    """422, before any is looked up."""
    answer = await resident.api.post(CHECK, json={"recipients": ["a@example.com"] * 10_001})
    assert pointers_of(answer) == ["#/recipients"]
    assert "10000" in answer.json()["errors"][0]["detail"]


async def test_nobody_may_be_asked_about(resident: Customer) -> None:
    """An empty list has an empty answer."""
    assert await resident.check() == []


@pytest.mark.parametrize(
    ("question", "pointers"),
    [
        ({}, ["#/recipients"]),
        ({"recipients": "ada@example.com"}, ["#/recipients"]),
        ({"recipients": [], "addresses": []}, ["#/addresses"]),
        ({"recipients": [], "topic": ""}, ["#/topic"]),
        ({"recipients": [], "topic": "a/b"}, ["#/topic"]),
        ({"recipients": [], "topic": 1}, ["#/topic"]),
    ],
)
async def test_question_is_refused_by_name(resident: Customer, question: dict[str, Any], pointers: list[str]) -> None:
    """422 with a pointer; an unknown field is not ignored."""
    assert pointers_of(await resident.api.post(CHECK, json=question)) == pointers


async def test_opt_outs_of_a_topic_count_for_that_topic(served: Served, customer: Customer) -> None:
    """Account-wide rows always match; rows of a topic when that topic is asked for."""
    await opted_out(served, customer, "everything@example.com")
    await opted_out(served, customer, "offers@example.com")
    served.inbox(
        "update suppressions set scope = 'topic', topic = 'offers' where rowid = (select max(rowid) from suppressions) "
    )
    both = ("everything@example.com", "offers@example.com")
    plain, offers = await customer.check(*both), await customer.check(*both, topic="offers")
    news = await customer.check(*both, topic="news")
    assert [entry["allowed"] for entry in plain] == [False, True]
    assert [entry["allowed"] for entry in news] == [False, True]
    assert [(entry["allowed"], entry["scope"]) for entry in offers] == [(False, "account"), (False, "topic")]


async def test_strongest_reason_shows(served: Served, customer: Customer) -> None:
    """Of several rows: unsubscribed, complained, bounced, manual, in this order."""
    await opted_out(served, customer, EMAIL)
    for reason in ("manual", "bounced", "complained"):
        served.inbox(
            "insert into suppressions (account_id, address_key, scope, topic, reason, origin, id, created_at) "
            f"select account_id, address_key, scope, topic, '{reason}', 'customer', randomblob(16), 1 "
            "from suppressions where reason = 'unsubscribed'"
        )
    for reason in ("unsubscribed", "complained", "bounced", "manual"):
        (entry,) = await customer.check(EMAIL)
        assert (entry["allowed"], entry["reason"]) == (False, reason)
        served.inbox(f"delete from suppressions where reason = '{reason}'")
    assert await customer.may_write_to(EMAIL)


async def test_opt_outs_of_another_account_cannot_be_seen(served: Served, customer: Customer) -> None:
    """Who left one sender may be written to by another, who learns nothing of it."""
    rook = await served.customer("Rook")
    await opted_out(served, rook, EMAIL)
    assert await customer.check(EMAIL) == [{"recipient": EMAIL, **ALLOWED}]
    assert not await rook.may_write_to(EMAIL)


async def test_row_of_another_account_never_counts(served: Served, customer: Customer) -> None:
    """Not even one with the same key: the account is part of every question (B-7)."""
    rook = await served.customer("Rook")
    await opted_out(served, customer, EMAIL)
    served.inbox(f"update suppressions set account_id = x'{rook.id.hex()}'")
    assert await customer.may_write_to(EMAIL)


async def test_same_address_has_unrelated_keys_in_two_accounts(served: Served, customer: Customer) -> None:
    """Not even the database tells that two senders know the same person (A15.8)."""
    rook = await served.customer("Rook")
    await opted_out(served, rook, EMAIL)
    await opted_out(served, customer, EMAIL)
    (first,), (second,) = served.inbox("select address_key from suppressions")
    assert (
        len({first[start : start + 4] for start in range(13)} & {second[start : start + 4] for start in range(13)}) == 0
    )


async def test_check_makes_no_recipient(served: Served, customer: Customer) -> None:
    """Asking leaves nothing behind."""
    await customer.check(EMAIL)
    assert served.main("select count(*) from recipients") == [(0,)]


async def test_check_fails_closed(served: Served, customer: Customer) -> None:
    """What cannot be looked up is a 503 with the time to ask again, never "allowed"."""
    served.inbox("alter table suppressions rename to elsewhere")
    answer = await customer.api.post(CHECK, json={"recipients": [EMAIL]})
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "allowed" not in answer.text
    served.inbox("alter table elsewhere rename to suppressions")
    assert await customer.may_write_to(EMAIL)
