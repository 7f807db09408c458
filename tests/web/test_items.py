"""One item of a bulk call, whatever it is, costs no more than an item and fails no other."""

import json
import tracemalloc
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.web.serving import Customer, pointers_of, problem_of, somebody
from tracker.web.items import LARGEST_ITEM, without_items

pytestmark = pytest.mark.anyio

BATCH, CHECK, SENT = "/v1/messages/batch", "/v1/suppressions/check", "/v1/messages/sent"
MIB = 1 << 20

LISTS = {
    BATCH: ("recipients", b'"campaign":"a",', 16 * MIB),
    CHECK: ("recipients", b"", 2 * MIB),
    SENT: ("messages", b"", 2 * MIB),
}

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text() | some.just("items"), inner),
    max_leaves=30,
)


def body(path: str, items: bytes) -> bytes:
    name, before, _ = LISTS[path]
    return b'{%b"%b":[%b]}' % (before, name.encode(), items)


def states(answer: httpx.Response) -> list[bool]:
    """Whether each item was called invalid."""
    assert answer.status_code == 200, answer.text
    return ["invalid" in (item.get("status"), item.get("reason")) for item in answer.json()["data"]]


async def peak_of(customer: Customer, path: str, content: bytes) -> tuple[httpx.Response, int]:
    """The answer, and the memory the call took at most, its body included."""
    tracemalloc.start()
    try:
        answer = await customer.api.post(path, content=content)
        return answer, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", LISTS)
async def test_millions_of_items_are_counted_before_they_are_made(resident: Customer, path: str) -> None:
    """B-29: a body of zeros only, as large as may be, takes the room of some copies of it."""
    name, _, limit = LISTS[path]
    answer, peak = await peak_of(resident, path, body(path, b"0," * (limit // 2 - 50) + b"0"))
    assert pointers_of(answer) == [f"#/{name}"]
    assert peak < 6 * limit


@pytest.mark.parametrize(
    "large",
    [b"[%b0]" % (b"0," * 700_000), b'{"email":"a","metadata":{%b"y":1}}' % (b'"x":1,' * 200_000)],
    ids=["list", "metadata"],
)
@pytest.mark.parametrize("path", LISTS)
async def test_item_of_a_million_things_is_not_looked_into(resident: Customer, path: str, large: bytes) -> None:
    """It is an answer, and no object is made of what it holds."""
    answer, peak = await peak_of(resident, path, body(path, large))
    assert states(answer) == [True]
    assert peak < 12 * MIB


@pytest.mark.parametrize("path", LISTS)
async def test_brackets_without_end_are_not_followed(resident: Customer, path: str) -> None:
    """Finding the end of each would take longer than everything else."""
    answer = await resident.api.post(path, content=body(path, b"[%b0]" % (b"[]," * 300_000)))
    assert pointers_of(answer) == ["#"]


@pytest.mark.parametrize(
    "spoilt",
    [b'"\\ud800"', b"1e999", b"-1e999", b"9" * 5_000, b"[" * 5_000 + b"]" * 5_000, b'{"a": "\\udc00"}', b'"\xff"'],
    ids=["surrogate", "large", "small", "long", "deep", "inner surrogate", "no UTF-8"],
)
@pytest.mark.parametrize("path", LISTS)
async def test_value_that_has_no_place_fails_alone(resident: Customer, path: str, spoilt: bytes) -> None:
    """JSON's grammar allows what no program can hold; the neighbours are answered."""
    good: Any = {
        BATCH: {"email": somebody()},
        CHECK: somebody(),
        SENT: {"id": somebody(), "sent_at": "2026-11-22T10:00:00Z"},
    }[path]
    written = json.dumps(good).encode()
    answer = await resident.api.post(path, content=body(path, b"%b,%b, %b" % (written, spoilt, written)))
    assert states(answer) == [False, True, False]


async def test_address_of_a_spoilt_item_is_found(resident: Customer) -> None:
    """Whoever sent it knows the row by it."""
    spoilt = b'{"email": "ada@example.com", "metadata": {"a": 1e999}}'
    answer = await resident.api.post(BATCH, content=body(BATCH, spoilt))
    (item,) = answer.json()["data"]
    assert item["email"] == "ada@example.com"
    assert item["pointer"].startswith("#/recipients/0")


@pytest.mark.parametrize(
    "wrong", [b"tru", b"", b"1 2", b"NaN", b"01", b'{"a":}', b'"a" "b"', b'"\\x"', b'"\n"', b"[1,]", b"}"]
)
@pytest.mark.parametrize("path", LISTS)
async def test_what_is_no_json_is_none_in_an_item_either(resident: Customer, path: str, wrong: bytes) -> None:
    """400, and nothing is done."""
    answer = await resident.api.post(path, content=body(path, b"%b,0" % wrong))
    assert (answer.status_code, problem_of(answer)) == (400, "not-json")


@pytest.mark.parametrize("blank", [b"", b" \n\t"])
async def test_list_without_an_item_is_one(resident: Customer, blank: bytes) -> None:
    """With or without blanks."""
    answer = await resident.api.post(CHECK, content=body(CHECK, blank))
    assert answer.json() == {"data": []}


@given(
    before=VALUES, items=some.lists(VALUES), after=VALUES, plain=some.booleans(), blanks=some.sampled_from([None, 2])
)
def test_items_are_those_the_json_library_finds(
    before: Any, items: list[Any], after: Any, plain: bool, blanks: int | None
) -> None:
    """Whatever they hold, and however it is written; the rest of the body stays."""
    whole = {"before": before, "items": items, "after": after}
    written = json.dumps(whole, ensure_ascii=plain, indent=blanks).encode(errors="surrogatepass")
    rest, found = without_items(written, "items")
    assert [json.loads(item) for item in found] == items
    assert json.loads(rest) == {**whole, "items": []}


def test_name_of_the_list_may_be_written_with_escapes() -> None:
    """And of two lists of the name the last counts."""
    rest, items = without_items(b'{"\\u0069tems" : [1, 2], "x": {"items": [3]}, "items":[4]}', "items")
    assert (json.loads(rest), items) == ({"items": [], "x": {"items": [3]}}, [b"4"])


def test_largest_item_leaves_room_for_all_that_fits() -> None:
    """Every character written as two escapes."""
    escaped = 12
    assert (320 + 200 + 20 * (40 + 500)) * escaped + 4 * 1024 < LARGEST_ITEM
