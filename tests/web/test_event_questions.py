"""A question about events that cannot be answered as it stands is refused, and what is wrong with it is named."""

from typing import Any

import pytest

from tests.web.serving import Customer, pointers_of

pytestmark = pytest.mark.anyio

BAD_QUERIES: dict[str, tuple[str, list[str]]] = {
    "an unknown parameter": ("foo=1", ["#/foo"]),
    "an unknown parameter beside a known one": ("campaign=a&Limit=1", ["#/Limit"]),
    "an address": ("email=ada%40example.com", ["#/email"]),
    "a parameter given twice": ("campaign=a&campaign=b", ["#/campaign"]),
    "a type that is none": ("type=opend", ["#/type"]),
    "a type among others": ("type=opened&type=", ["#/type"]),
    "a verdict that is none": ("verdict=robot", ["#/verdict"]),
    "an order that is none": ("order=up", ["#/order"]),
    "a recipient that is an address": ("recipient=ada%40example.com", ["#/recipient"]),
    "a message that is no id": ("message=42", ["#/message"]),
    "an empty external id": ("external_id=", ["#/external_id"]),
    "a long external id": (f"external_id={'x' * 201}", ["#/external_id"]),
    "an empty campaign": ("campaign=", ["#/campaign"]),
    "a topic with a slash": ("topic=a%2Fb", ["#/topic"]),
    "a time without offset": ("since=2026-11-22T10:00:00", ["#/since"]),
    "a day": ("until=2026-11-22", ["#/until"]),
    "a day that is none": ("until=2026-02-30T10:00:00Z", ["#/until"]),
    "no rows": ("limit=0", ["#/limit"]),
    "too many rows": ("limit=1001", ["#/limit"]),
    "minus one row": ("limit=-1", ["#/limit"]),
    "half a row": ("limit=1.5", ["#/limit"]),
    "a limit in words": ("limit=ten", ["#/limit"]),
    "a limit in other digits": ("limit=%D9%A3", ["#/limit"]),
    "an endless limit": (f"limit={'9' * 5_000}", ["#/limit"]),
    "an empty limit": ("limit=", ["#/limit"]),
    "two flaws": ("type=x&order=y", ["#/type", "#/order"]),
}


@pytest.mark.parametrize(("query", "pointers"), BAD_QUERIES.values(), ids=BAD_QUERIES)
async def test_query_is_refused_by_name(resident: Customer, query: str, pointers: list[str]) -> None:
    """422 that names what is wrong; nothing is guessed or ignored."""
    assert pointers_of(await resident.api.get(f"/v1/events?{query}")) == pointers


BAD_SEARCHES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown field": ({"foo": 1}, ["#/foo"]),
    "an address that is none": ({"email": "ada"}, ["#/email"]),
    "a type that is none": ({"type": ["opened", "x"]}, ["#/type"]),
    "a type that is no text": ({"type": [1]}, ["#/type/0"]),
    "no rows": ({"limit": 0}, ["#/limit"]),
    "too many rows": ({"limit": 1_001}, ["#/limit"]),
    "a limit in words": ({"limit": "10"}, ["#/limit"]),
    "three flaws": ({"limit": 0, "order": "x", "message": "x"}, ["#/message", "#/order", "#/limit"]),
}


@pytest.mark.parametrize(("question", "pointers"), BAD_SEARCHES.values(), ids=BAD_SEARCHES)
async def test_search_is_refused_by_name(resident: Customer, question: dict[str, Any], pointers: list[str]) -> None:
    """As the list, with every flaw that is found."""
    assert pointers_of(await resident.api.post("/v1/events/search", json=question)) == pointers


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("wait=10", "#/wait"),
        ("type=opened", "#/type"),
        ("after=-1", "#/after"),
        ("after=x", "#/after"),
        ("after=9223372036854775808", "#/after"),
        ("after=1&after=2", "#/after"),
        ("limit=0", "#/limit"),
        ("limit=1001", "#/limit"),
    ],
)
async def test_feed_refuses_what_it_does_not_know(resident: Customer, query: str, pointer: str) -> None:
    """Waiting is not built yet, and is not silently ignored."""
    assert pointers_of(await resident.api.get(f"/v1/events/feed?{query}")) == [pointer]
