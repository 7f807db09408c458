"""Whoever sends very many links and keys that are none is told to stop; what is right is answered all the same."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import AsyncClient
from starlette.types import Scope

from tests.web.serving import (
    READER,
    SAFE,
    SHOP,
    Customer,
    Served,
    ask,
    click_of,
    client_of,
    path_of,
    problem_of,
    serving,
)
from tests.web.test_quotas import Clock
from tracker.domain.meters import Rate
from tracker.web.pages import Pages
from tracker.web.strangers import Strangers

pytestmark = pytest.mark.anyio

TOPICS = "/v1/topics"
WRONG = {"Authorization": f"Bearer trk_{'0' * 16}_{'x' * 43}"}
NEIGHBOUR, ELSEWHERE = "203.0.113.200", "198.51.100.7"
FAILURES = 3


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Served]:
    """An installation that has little patience."""
    async with serving(tmp_path, failure_rate=f"{FAILURES}/day") as served:
        yield served


async def exhaust(client: AsyncClient, path: str = "/c/forged") -> None:
    """Send as many damaged links as are answered 404."""
    for _ in range(FAILURES):
        assert (await client.get(path)).status_code == 404


async def test_damaged_links_without_end_are_refused(strict: Served) -> None:
    """429 with Retry-After on every kind of page, which is small and kept by nobody; elsewhere it is 404."""
    await exhaust(strict.reader)
    for method, path in (("GET", "/c/x"), ("HEAD", "/c/x"), ("GET", "/u/x"), ("POST", "/u/x"), ("POST", "/p/x")):
        answer = await strict.reader.request(method, path)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 86_400
        assert {name: answer.headers[name] for name in SAFE} == SAFE
        assert len(answer.content) < 8_192
    for address, status in ((NEIGHBOUR, 429), (ELSEWHERE, 404)):
        async with client_of(strict.app, address=address) as other:
            assert (await other.get("/u/x")).status_code == status


async def test_whole_links_work_from_the_same_address(strict: Served) -> None:
    """A1.18: opt-outs above all, however many there are."""
    customer = await strict.customer()
    made = await customer.make()
    await exhaust(strict.reader)
    for _ in range(3 * FAILURES):
        assert (await strict.reader.get(made["open_url"])).status_code == 200
        assert (await strict.reader.get(click_of(made))).headers["location"] == SHOP
        assert (await strict.reader.post(made["unsubscribe_url"])).status_code == 200
        assert (await strict.reader.get(made["preferences_url"])).status_code == 200
    assert strict.suppressions() == 1


async def test_pictures_tell_nothing(strict: Served) -> None:
    """A3.3: forged ones are answered with the same bytes for ever, and count as nothing."""
    customer = await strict.customer()
    whole = await ask(strict.app, "GET", path_of((await customer.make())["open_url"]))
    for _ in range(3 * FAILURES):
        assert await ask(strict.app, "GET", "/o/forged.gif") == whole
    await exhaust(strict.reader)
    assert await ask(strict.app, "GET", "/o/forged.gif") == whole


async def test_wrong_keys_without_end_are_refused(strict: Served) -> None:
    """429 with Retry-After in place of 401; a right one from there is let in, and no key at all is no guess."""
    customer = await strict.customer()
    for _ in range(2 * FAILURES):
        assert (await strict.reader.get(TOPICS)).status_code == 401
    for _ in range(FAILURES):
        assert problem_of(await strict.reader.get(TOPICS, headers=WRONG)) == "unauthorized"
    refused = await strict.reader.get(TOPICS, headers=WRONG)
    assert (refused.status_code, problem_of(refused)) == (429, "too-many-failures")
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert (await customer.api.get(TOPICS)).status_code == 200
    async with client_of(strict.app, address=ELSEWHERE) as other:
        assert (await other.get(TOPICS, headers=WRONG)).status_code == 401


def test_patience_comes_back_and_memory_is_bounded() -> None:
    """By the clock; of networks beyond the bound the oldest are forgotten."""
    clock = Clock()
    strangers = Strangers(Rate(2, 60), Pages(None), most_networks=10, clock=clock)

    def wait_s(address: str = READER) -> int | None:
        scope: Scope = {"type": "http", "client": (address, 1)}
        return strangers.wait_s(scope)

    assert [wait_s() for _ in range(3)] == [None, None, 60]
    clock.now += 59.5
    assert wait_s() == 1
    clock.now += 0.5
    assert [wait_s() for _ in range(3)] == [None, None, 60]
    assert strangers.wait_s({"type": "http", "client": None}) is None
    for number in range(1_000):
        wait_s(f"10.{number // 250}.{number % 250}.1")
        assert len(strangers._meter._windows) <= 10
    assert wait_s() is None


def test_networks_are_those_that_events_know() -> None:
    """An IPv6 /48 is one: whoever holds it has more addresses than any table."""
    strangers = Strangers(Rate(1, 60), Pages(None), clock=Clock())
    seen = [strangers.wait_s({"type": "http", "client": (f"2001:db8:1:{n:x}::1", 1)}) for n in range(3)]
    assert seen == [None, 60, 60]


async def test_customer_is_told_apart_from_strangers(strict: Served, tmp_path: Path) -> None:
    """A customer's own problems are no failures: what is not found, not allowed, not right."""
    customer: Customer = await strict.customer(scopes=["events"])
    for path in (f"{TOPICS}/unknown", f"{TOPICS}?foo=1", "/v1/link-key", "/v1/nothing"):
        for _ in range(2 * FAILURES):
            assert (await customer.api.get(path)).status_code in (403, 404, 422)
    assert (await strict.reader.get(TOPICS, headers=WRONG)).status_code == 401
