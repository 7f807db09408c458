"""Large calls take turns: an account has one under way, and the server works on one at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest

from tests.web.serving import Customer, Served, problem_of, somebody, until
from tracker.web.api import _Methods, _Steps
from tracker.web.bulk import LARGE, MEDIUM, Bulk

pytestmark = pytest.mark.anyio

BATCH, CHECK, SENT = "/v1/messages/batch", "/v1/suppressions/check", "/v1/messages/sent"
BULK = {BATCH, CHECK, SENT}
LISTS = {"/v1/suppressions/import", "/v1/suppressions/export"}
JSON = {"Content-Type": "application/json"}


def steps_of(served: Served) -> list[_Steps]:
    """What every endpoint does."""
    methods = [route.app for route in served.app.router.routes if isinstance(route.app, _Methods)]
    return [steps for one in methods for steps in one._methods.values()]


def bulk_of(served: Served) -> Bulk:
    """What lets large calls in."""
    (bulk,) = {steps._bulk for steps in steps_of(served)}
    return bulk


def small_check() -> bytes:
    return f'{{"recipients": ["{somebody()}"]}}'.encode()


def large_check() -> bytes:
    return small_check() + b" " * LARGE


async def check(customer: Customer, body: bytes, path: str = CHECK) -> httpx.Response:
    return await customer.api.post(path, content=body, headers=JSON)


@asynccontextmanager
async def under_way(
    served: Served, customer: Customer, body: bytes = b""
) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """A call of this customer without a length, whose body does not end before this is left."""
    going_on = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield body or small_check()
        await going_on.wait()

    request = customer.api.post(CHECK, content=pieces(), headers=JSON)
    call = asyncio.create_task(request)

    async def admitted() -> bool:
        return customer.id in bulk_of(served)._accounts

    await until(admitted)
    try:
        yield call
    finally:
        going_on.set()
        await asyncio.wait([call])


async def test_bulk_calls_are_these(standing: Served) -> None:
    """Those that take thousands of items."""
    assert {one._operation.path for one in steps_of(standing) if one._operation.bulk} == {*BULK, *LISTS}


async def test_second_large_call_of_an_account_is_refused(served: Served, customer: Customer) -> None:
    """B-29: 429 with Retry-After, at every route that takes thousands; then it is answered."""
    async with under_way(served, customer) as first:
        for path in BULK:
            refused = await check(customer, large_check(), path)
            assert (refused.status_code, problem_of(refused)) == (429, "too-many-at-once")
            assert refused.headers["retry-after"] == "1"
            assert "ratelimit" in refused.headers
    assert first.result().status_code == 200
    assert (await check(customer, large_check())).status_code == 200


async def test_small_calls_and_other_accounts_are_let_in(served: Served, customer: Customer) -> None:
    """B-29: whatever is under way elsewhere."""
    other = await served.customer("Osprey")
    async with under_way(served, customer):
        assert (await check(customer, small_check())).status_code == 200
        assert (await check(customer, small_check().ljust(LARGE))).status_code == 200
        assert (await check(other, large_check())).status_code == 200
        assert (await customer.make())["id"]


async def test_call_that_fails_is_over(served: Served, customer: Customer) -> None:
    """Whatever it ended in, the next one is let in."""
    for body, status in ((b"{" + b" " * LARGE, 400), (b"{}" + b" " * LARGE, 422), (b" " * 3 * 1024 * 1024, 413)):
        assert (await check(customer, body)).status_code == status
    async with under_way(served, customer) as cut_off:
        cut_off.cancel()
        await asyncio.wait([cut_off])
        assert (await check(customer, large_check())).status_code == 200


async def test_large_calls_are_worked_on_one_by_one(served: Served, customer: Customer) -> None:
    """B-29: whoever waits for a turn keeps no small call waiting, and is answered in the order of asking."""
    others = [await served.customer(name) for name in ("Osprey", "Plover")]
    bulk, answered = bulk_of(served), list[bytes]()

    async def ask(one: Customer) -> None:
        assert (await check(one, large_check())).status_code == 200
        answered.append(one.id)

    async with asyncio.TaskGroup() as calls, bulk.turn:
        for number, one in enumerate(others, start=1):
            calls.create_task(ask(one))
            await until(partial(waiting, bulk, number))
        assert (await check(customer, small_check())).status_code == 200
        assert answered == []
    assert answered == [one.id for one in others]


async def test_medium_calls_take_turns_account_by_account(served: Served, customer: Customer) -> None:
    """B-29: many of one account are all let in, and stand behind each other; another's next is not behind them all."""
    other = await served.customer("Osprey")
    bulk, answered = bulk_of(served), list[bytes]()

    async def ask(one: Customer) -> None:
        assert (await check(one, small_check().ljust(MEDIUM + 1))).status_code == 200
        answered.append(one.id)

    async with asyncio.TaskGroup() as calls, bulk.turn:
        for _ in range(3):
            calls.create_task(ask(customer))
        await until(partial(queued, bulk, customer, 2))
        calls.create_task(ask(other))
        await until(partial(waiting, bulk, 2))
        assert (await check(other, small_check())).status_code == 200
        assert answered == []
    assert answered == [customer.id, other.id, customer.id, customer.id]
    assert not bulk._queues


async def queued(bulk: Bulk, customer: Customer, number: int) -> bool:
    """Whether so many of this customer wait behind the one that waits for the turn."""
    queue = bulk._queues.get(customer.id)
    return queue is not None and len(queue._waiters or ()) == number


async def waiting(bulk: Bulk, number: int) -> bool:
    """Whether so many wait for their turn."""
    return len(bulk.turn._waiters or ()) == number
