"""A mailer says of thousands of messages when they were sent, and hears about each."""

import json
from typing import Any

import pytest

from tests.web.serving import Customer, Served, pointers_of, problem_of
from tracker.domain.ids import new_id, written

pytestmark = pytest.mark.anyio

SENT = "/v1/messages/sent"
TIME = "2026-11-22T10:00:00.000Z"


async def say(customer: Customer, *messages: Any) -> list[dict[str, Any]]:
    """The answer about each message."""
    answer = await customer.api.post(SENT, json={"messages": messages})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


async def sent_at(customer: Customer, message: str) -> str | None:
    """When a message was sent, as it is read."""
    found: str | None = (await customer.api.get(f"/v1/messages/{message}")).json()["sent_at"]
    return found


async def test_message_says_when_it_was_sent(resident: Customer) -> None:
    """In UTC, whatever the offset; said again, the last time holds, in one call as in two."""
    message = (await resident.make())["id"]
    given = {"id": message, "sent_at": "2026-11-22T12:00:00+02:00"}
    assert await say(resident, given) == [{"status": "accepted", "id": message}]
    assert await sent_at(resident, message) == TIME
    await say(resident, given, {"id": message, "sent_at": "2026-11-23T00:00:00.5Z"})
    assert await sent_at(resident, message) == "2026-11-23T00:00:00.500Z"


FLAWED: dict[str, tuple[Any, str | None, str]] = {
    "no time": ({"id": "x"}, "x", "/sent_at"),
    "no id": ({"sent_at": TIME}, None, "/id"),
    "a number for a time": ({"id": "x", "sent_at": 1}, "x", "/sent_at"),
    "a time without its offset": ({"id": "x", "sent_at": "2026-11-22T10:00:00"}, "x", "/sent_at"),
    "before the time of computers": ({"id": "x", "sent_at": "1969-12-31T23:59:59Z"}, "x", "/sent_at"),
    "before the first year": ({"id": "x", "sent_at": "0001-01-01T00:00:00+14:00"}, "x", "/sent_at"),
    "after the last year": ({"id": "x", "sent_at": "9999-12-31T23:59:59-14:00"}, "x", "/sent_at"),
    "an unknown field": ({"id": "x", "sent_at": TIME, "by": "us"}, "x", "/by"),
    "an id alone": ("x", None, ""),
    "null": (None, None, ""),
}


@pytest.mark.parametrize(("given", "identifier", "pointer"), FLAWED.values(), ids=FLAWED)
async def test_no_item_fails_the_call(resident: Customer, given: Any, identifier: str | None, pointer: str) -> None:
    """It is answered as invalid with where and why, and its neighbours are kept."""
    message = (await resident.make())["id"]
    item, kept = await say(resident, given, {"id": message, "sent_at": TIME})
    assert item.pop("detail")
    assert item == {"status": "invalid", "id": identifier, "pointer": f"#/messages/0{pointer}"}
    assert kept["status"] == "accepted"
    assert await sent_at(resident, message) == TIME


async def test_messages_of_others_are_answered_like_unknown_ones(standing: Served, resident: Customer) -> None:
    """Byte for byte but for the id, as one that does not exist or is none; nothing of theirs changes (B-7)."""
    other = await standing.customer("Rook")
    theirs = (await other.make())["id"]
    answers = set()
    for identifier in (theirs, written(new_id()), "not-an-id", ""):
        answer = await resident.api.post(SENT, json={"messages": [{"id": identifier, "sent_at": TIME}]})
        assert answer.json() == {"data": [{"status": "unknown", "id": identifier}]}
        answers.add(answer.text.replace(json.dumps(identifier), "..."))
    assert len(answers) == 1
    assert await sent_at(other, theirs) is None


async def test_ten_thousand_messages_are_one_call(served: Served, customer: Customer) -> None:
    """And one more is too many."""
    recipients = [{"email": f"r{n}@example.com"} for n in range(10_000)]
    made = await customer.api.post("/v1/messages/batch", json={"campaign": "a", "recipients": recipients})
    messages = [{"id": item["id"], "sent_at": TIME} for item in made.json()["data"]]
    assert [item["status"] for item in await say(customer, *messages)] == ["accepted"] * 10_000
    assert served.main("select count(*), min(sent_at) = max(sent_at) from messages") == [(10_000, 1)]
    answer = await customer.api.post(SENT, json={"messages": [*messages, messages[0]]})
    assert pointers_of(answer) == ["#/messages"]


async def test_key_needs_the_scope(standing: Served) -> None:
    """403 names what is missing."""
    other = await standing.customer("Rook", scopes=["events"])
    answer = await other.api.post(SENT, json={"messages": []})
    assert (answer.status_code, answer.json()["scope"]) == (403, "messages")


async def test_nothing_said_is_nothing_kept(resident: Customer) -> None:
    """An empty list is answered with one."""
    assert await say(resident) == []


async def test_database_that_fails_keeps_nothing(served: Served, customer: Customer) -> None:
    """503: the mailer says it again."""
    served.main("alter table messages rename to elsewhere")
    answer = await customer.api.post(SENT, json={"messages": [{"id": written(new_id()), "sent_at": TIME}]})
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
