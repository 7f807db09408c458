"""Thousands of damaged bodies to every operation that takes one: each gets a documented answer."""

import gzip
import json
import logging
import random
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.web.serving import Customer, Raw, Served, ask, serving
from tests.web.test_openapi import routed
from tracker.web.operations import Operation
from tracker.web.problems import TYPES

pytestmark = pytest.mark.anyio

VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1.5, -0.0, 1e308, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, float("nan")),
    *("", " ", "\0", "\ud800", "\udc00\ud800", "x" * 600, "e\u0301" * 60, "\u202e", "/", "<a href=https://x.example/>"),
    *(
        "ada@example.com",
        "ADA@EXAMPLE.COM",
        '"a b"@x.de',
        "a@\u0627.example",
        "a" * 300 + "@x.de",
        "2026-02-30T00:00:00Z",
    ),
    *(
        "9999-12-31T23:59:59.999Z",
        "0000-00-00",
        "019e0000-0000-7000-8000-000000000000",
        "unsubscribed",
        "manual",
        "topic",
    ),
    *([], {}, [[]], [None] * 50, {"": ""}, {"a": {"b": [{"c": None}]}}, ["x"] * 200, [{"email": "a@x.de"}] * 3),
)
NAMES = ("", "email", "id", "topic", "__proto__", "\0", "\ud800", "x" * 100, "a/b", "~", "0", "recipient", "[...]", "`")
KINDS = (
    *("application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"),
    *(
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "a" * 4_000,
        "\xff",
        ";",
    ),
)
LENGTHS = (b"", b"-1", b"0", b"5", b"1e3", b"\xb2", b"0x10", b"99999999999999999999", b"9" * 5_000, b"1, 2", b" 7 ")


def replace(value: Any, chance: random.Random) -> Any:
    """Anything in the place of anything."""
    places = list(_places(value))
    place = chance.choice(places)
    if not place:
        return deepcopy(chance.choice(VALUES))
    above = _at(value, place[:-1])
    above[place[-1]] = deepcopy(chance.choice(VALUES))
    return value


def leave_out(value: Any, chance: random.Random) -> Any:
    """One field or item less."""
    places = [place for place in _places(value) if place]
    if places:
        place = chance.choice(places)
        del _at(value, place[:-1])[place[-1]]
    return value


def add(value: Any, chance: random.Random) -> Any:
    """One field more."""
    inside = [one for one in (_at(value, place) for place in _places(value)) if isinstance(one, dict)]
    if inside:
        chance.choice(inside)[chance.choice(NAMES)] = deepcopy(chance.choice(VALUES))
    return value


def repeat(value: Any, chance: random.Random) -> Any:
    """Many items where there was one."""
    inside = [one for one in (_at(value, place) for place in _places(value)) if isinstance(one, list) and one]
    if inside:
        items = chance.choice(inside)
        items *= chance.choice((2, 100))
    return value


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in list(inner):
        yield from _places(one, (*above, name))


def _at(value: Any, place: Sequence[Any]) -> Any:
    for name in place:
        value = value[name]
    return value


def cut(body: bytes, chance: random.Random) -> bytes:
    """It ends early."""
    return body[: chance.randrange(len(body) + 1)]


def put_in(body: bytes, chance: random.Random) -> bytes:
    """Bytes more, or others."""
    place = chance.randrange(len(body) + 1)
    more = chance.choice(
        (b"\0", b"\xff", b"\xc3", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u0000", b"1e999", b"\n")
    )
    return body[:place] + more + body[place + chance.randrange(2) :]


def double(body: bytes, chance: random.Random) -> bytes:
    """A name that stands twice."""
    name = chance.choice(re.findall(rb'"\w+"', body) or [b'"a"'])
    return body.replace(b"{", b"{" + name + b":" + chance.choice((b"1", b'"x"', b"[]")) + b",", 1)


def nest(body: bytes, chance: random.Random) -> bytes:
    """Deeper than anybody reads."""
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")))
    depth = chance.choice((10, 600, 20_000))
    return opening * depth + chance.choice((body, b"1")) + closing * depth


def encode(body: bytes, chance: random.Random) -> bytes:
    """Other bytes for the same text."""
    return chance.choice(
        (
            b"\xef\xbb\xbf" + body,
            body.decode().encode("utf-16"),
            body.decode().encode("utf-32-be"),
            gzip.compress(body),
            body.replace(b"a", "ä".encode("latin-1")),
            b"",
            b" \t\r\n",
            body + b"\n\n",
            body + body,
        )
    )


OF_VALUES: Sequence[Callable[[Any, random.Random], Any]] = (replace, replace, replace, leave_out, add, repeat)
OF_BYTES: Sequence[Callable[[bytes, random.Random], bytes]] = (cut, put_in, double, nest, encode)


def damaged(example: Any, chance: random.Random) -> bytes:
    """The example, changed once or more."""
    value = deepcopy(example)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        value = chance.choice(OF_VALUES)(value, chance)
    # Half a surrogate pair as an escape, and as the bytes no text has.
    body = json.dumps(value, ensure_ascii=chance.random() < 0.8).encode("utf-8", "surrogatepass")
    if chance.random() < 0.4:
        with_bytes = chance.choice(OF_BYTES)
        body = with_bytes(body, chance) if with_bytes is not encode else encode(json.dumps(value).encode(), chance)
    return body


def headers_of(customer: Customer, body: bytes, chance: random.Random) -> list[tuple[bytes, bytes]]:
    """Of nine in ten what a client would send."""
    odd = chance.random() < 0.1
    kind = chance.choice(KINDS) if odd else KINDS[0]
    length = chance.choice(LENGTHS) if odd else str(len(body)).encode()
    key = [(b"idempotency-key", chance.choice((b"a", b"b", b"", b"\xff", b"x" * 300)))] if chance.random() < 0.1 else []
    return [
        (b"authorization", f"Bearer {customer.key}".encode()),
        (b"content-type", kind.encode("latin-1")),
        (b"content-length", length),
        *key,
    ]


def expected(operation: Operation) -> set[int]:
    """What the document says, and no 5xx."""
    problems = {TYPES[name][0] for name in operation.possible_problems}
    return {answer.status for answer in operation.answers} | {status for status in problems if status < 500}


def check(operation: Operation, answer: Raw) -> None:
    """It is one of those documented, and says what it is."""
    assert answer.status in expected(operation)
    if answer.status >= 400:
        assert answer.fields["content-type"] == "application/problem+json"
        problem = json.loads(answer.body)
        assert problem["status"] == answer.status
        assert problem["type"].rpartition("/")[2] in operation.possible_problems
        assert (answer.status != 422) or all(
            flaw["pointer"].startswith("#") for flaw in problem.get("errors", [{"pointer": "#"}])
        )


def operations(served: Served) -> list[tuple[str, str, Operation]]:
    """Those with a JSON body: method, path and what is said of them."""
    return [
        (method.upper(), re.sub(r"\{\w+\}", "offers", path), operation)
        for (method, path), operation in routed(served.app).items()
        if operation.body is not None and operation.body.example is not None
    ]


@pytest.mark.parametrize("tries", [60, pytest.param(5_000, marks=pytest.mark.long)], ids=["short", "long"])
async def test_damaged_body_gets_a_documented_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tries: int
) -> None:
    """Below 500, as a problem of the operation or as a success; nothing is logged, and the server goes on."""
    caplog.set_level(logging.WARNING)
    seen: dict[int, int] = {}
    async with serving(tmp_path, key_rate="9000000/minute", account_rate="9000000/minute") as served:
        customer, chance = await served.customer(), random.Random(tries)
        table = operations(served)
        assert len(table) >= 10
        for method, path, operation in table:
            for _ in range(tries):
                assert operation.body is not None
                body = damaged(operation.body.example, chance)
                headers = headers_of(customer, body, chance)
                answer = await ask(served.app, method, path, headers=headers, body=body)
                assert caplog.records == [], (method, path, headers[1:], body[:2_000])
                try:
                    check(operation, answer)
                except AssertionError as error:
                    raise AssertionError(method, path, headers[1:], body[:2_000], answer) from error
                seen[answer.status] = seen.get(answer.status, 0) + 1
        assert (await customer.make())["open_url"]
    print(f"{len(table)} operations, {sum(seen.values()):,} bodies: {dict(sorted(seen.items()))}")
    assert {200, 400, 415, 422} <= set(seen)
