"""What is another account's answers as what is nobody's, at every route, for everything that can name it."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from httpx import Response

from tests.web.serving import Customer, Served, click_of, until
from tests.web.table import Asked, questions

pytestmark = pytest.mark.anyio

_OF_THEIRS = "theirs@example.com"

_NEW = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT[0-9:.]+Z"
    r"|/[ocup]/[\w.-]+"
    r"|trk_[0-9a-f]{16}_[\w-]+"
    r'|"id":"[0-9a-f]{16}"|/v1/keys/[0-9a-f]{16}'
)
"""What is made anew for each answer: ids, times, links, API keys."""


async def everything(customer: Customer, served: Served) -> Mapping[str, str]:
    """One of each thing an account can have, by what it is."""
    made = await customer.make(
        recipient={"email": _OF_THEIRS, "external_id": "their-42"}, campaign="theirs", topic="news"
    )
    await served.reader.get(made["open_url"])
    await served.reader.get(click_of(made))
    row = (await customer.api.post("/v1/suppressions", json={"email": _OF_THEIRS, "reason": "manual"})).json()
    await served.reader.post(made["unsubscribe_url"])
    await until(lambda: _has_events(customer, 3))
    rows = (await customer.api.get("/v1/suppressions", params={"limit": 1})).json()
    keys = (await customer.api.get("/v1/keys", params={"limit": 1})).json()
    events = await customer.events(limit=1)
    page = (await customer.api.get("/v1/events", params={"limit": 1})).json()
    return {
        "message": made["id"],
        "recipient": made["recipient"]["id"],
        "suppression": row["id"],
        "opt-out": rows["data"][0]["id"],
        "key": keys["data"][0]["id"],
        "event": events[0]["id"],
        "account": customer.id.hex(),
        "campaign": "theirs",
        "topic": "news",
        "external id": "their-42",
        "address": _OF_THEIRS,
        "cursor": page["next_cursor"],
    }


async def _has_events(customer: Customer, count: int) -> bool:
    return len(await customer.events()) == count


def unknown(kind: str, known: str) -> str:
    """Something of this kind that nobody has."""
    match kind:
        case "address":
            return f"nobody-{uuid4().hex}@example.com"
        case "key" | "account":
            return uuid4().hex[: len(known)]
        case "cursor":
            return known[::-1]
        case "campaign" | "topic" | "external id":
            return f"nothing-{uuid4().hex}"
        case _:
            return str(uuid4())


def seen(answer: Response, given: str) -> tuple[int, Mapping[str, str], str]:
    """The answer without what each answer has of its own, and without what was asked for."""
    own = {"date", "request-id", "content-length", "ratelimit"}
    fields = {name: plain(value, quote(given, safe="")) for name, value in answer.headers.items() if name not in own}
    return answer.status_code, fields, plain(answer.text, given)


def plain(text: str, given: str) -> str:
    """The text without what was given, and without what was made anew."""
    return _NEW.sub("new", text.replace(given, "given"))


async def state(customer: Customer) -> list[Any]:
    """All that an account can look at."""
    paths = ("events", "topics", "suppressions", "keys", "account", "suppressions/changes", "events/feed")
    answers = [(await customer.api.get(f"/v1/{path}")) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json() for answer in answers]


def _makes_something(question: Asked) -> int:
    """0 for what only looks, 1 for what takes away, and more for what makes things by the way."""
    looks = question.method == "GET" or question.path.endswith(("/search", "/check"))
    return 0 if looks else ("DELETE", "PUT", "PATCH", "POST").index(question.method) + 1


async def test_what_is_anothers_is_as_unknown_as_what_is_nobodys(served: Served) -> None:
    """B-7: every route, every value it takes, every kind of thing of another account; and nothing of theirs changes."""
    ours, theirs = await served.customer("Ours"), await served.customer("Theirs")
    named = await everything(theirs, served)
    before = await state(theirs)
    # What we make has the names of their things afterwards: so first all that only looks.
    asked = sorted(await questions(served), key=_makes_something)
    assert len(asked) > 50
    for question in asked:
        # Whatever it makes is there when the two come that are compared.
        await question.send(ours, question.usual, "nothing")
        for kind, known in named.items():
            answers = []
            for value in (known, unknown(kind, known)):
                answer = await question.send(ours, value, quote(value, safe=""))
                assert answer.status_code < 500, (str(question), kind, answer.text)
                answers.append(seen(answer, value))
            assert answers[0] == answers[1], (str(question), kind)
    assert await state(theirs) == before
    assert not await theirs.may_write_to(_OF_THEIRS)


async def test_owner_is_answered_otherwise(served: Served) -> None:
    """B-7: the test above compares answers that could differ."""
    theirs = await served.customer("Theirs")
    named = await everything(theirs, served)
    told = set()
    for question in await questions(served):
        if question.method == "GET":
            for kind, known in named.items():
                value = unknown(kind, known)
                answer = await question.send(theirs, known, quote(known, safe=""))
                other = await question.send(theirs, value, quote(value, safe=""))
                if seen(answer, known) != seen(other, value):
                    told.add(kind)
    assert told >= {
        "message",
        "recipient",
        "suppression",
        "opt-out",
        "key",
        "campaign",
        "topic",
        "external id",
        "cursor",
    }
