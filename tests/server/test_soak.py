"""Half an hour of everything, while one thing after the other breaks: nothing is lost, and nothing grows.

``TRACKER_SOAK_MINUTES`` says how long it goes on; one minute is enough to see whether it works.
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost, wrongly_answered
from tests.server.harness import Server, stopped_worker
from tests.server.ledger import KINDS, Ledger
from tests.server.load import Load, Pace
from tests.server.locks import locked
from tests.server.soak import ALLOWANCES, Customer, Gauges, expect_imports_whole, shown
from tests.server.test_kill import kill_server

pytestmark = [pytest.mark.fault, pytest.mark.long, pytest.mark.anyio]

_MINUTES = float(os.environ.get("TRACKER_SOAK_MINUTES", "30"))
_SHARE = 0.6
_WARM = 0.15
_KILLED = 1 / 3
"""The part of the time in which processes are killed: new ones have new memory, which shows no growth."""
_BETWEEN_S = (5.0, 20.0)

Trouble = Callable[[Server], Awaitable[object]]


async def inbox_locked(server: Server) -> None:
    """Another program holds the inbox for some seconds."""
    with locked(server.inbox):
        await asyncio.sleep(3)


async def main_file_locked(server: Server) -> None:
    """Another program holds the main file for some seconds."""
    with locked(server.main):
        await asyncio.sleep(4)


async def worker_stopped(server: Server) -> None:
    """The worker stands still for some seconds."""
    async with stopped_worker(server):
        await asyncio.sleep(6)


async def worker_killed(server: Server) -> None:
    """The worker dies, and another comes."""
    await server.worker_other_than(server.signal_worker(signal.SIGKILL))


_MILD: Sequence[Trouble] = (inbox_locked, main_file_locked, worker_stopped)
_ALL: Sequence[Trouble] = (*_MILD, worker_killed, kill_server)


async def troubled(server: Server, troubles: Sequence[Trouble], until: float, chance: random.Random) -> Counter[str]:
    """One trouble after the other, with some seconds in between, until then."""
    seen: Counter[str] = Counter()
    while time.monotonic() < until:
        await asyncio.sleep(min(chance.uniform(*_BETWEEN_S), max(until - time.monotonic(), 0.1)))
        trouble = chance.choice(troubles)
        seen[trouble.__name__] += 1
        await trouble(server)
        await server.health_when(lambda state: state["status"] == "ok", within_s=60)
    return seen


async def capacity(ledger: Ledger, seconds: float) -> float:
    """Deeds in a second with everybody as fast as they can."""
    before = ledger.answers.total()
    await asyncio.sleep(seconds)
    return (ledger.answers.total() - before) / seconds


async def test_a_long_run_loses_nothing_and_nothing_grows(tmp_path: Path) -> None:
    """F01, F07, F23, F24: at 60 % of the capacity that is measured first; gauges are judged by their slope."""
    ledger, pace, chance = Ledger(), Pace(), random.Random(1)
    length_s = _MINUTES * 60
    async with Server(tmp_path / "data") as server:
        accounts = [await server.create_account(name) for name in ("north", "south")]
        customers = [Customer(server, account, ledger, seed=seed) for seed, account in enumerate(accounts)]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(Load(server, accounts, ledger, readers=16, pace=pace))
            for customer in customers:
                await stack.enter_async_context(customer)
            full = await capacity(ledger, seconds=max(5, length_s / 100))
            pace.per_second = full * _SHARE
            await server.caught_up(within_s=120)
            print(f"capacity {full:.0f}/s, load {pace.per_second:.0f}/s", flush=True)
            began = time.monotonic()
            seen = await troubled(server, _MILD, began + length_s * _WARM, chance)
            async with Gauges(server) as gauges:
                seen += await troubled(server, _MILD, began + length_s * (1 - _KILLED), chance)
            print(shown(gauges.judged()), flush=True)
            seen += await troubled(server, _ALL, began + length_s, chance)
        await server.caught_up(within_s=120)
        print(f"{_MINUTES:.0f} minutes, {dict(seen)}, answers {dict(ledger.answers)}, unknown {ledger.unknown}")
        print([dict(customer.answers) for customer in customers])
        assert all(ledger.acknowledged(kind) for kind in KINDS), "the load must have done some of everything"
        await expect_nothing_lost(server, ledger)
        expect_imports_whole(server, customers)
        assert await wrongly_answered(server, accounts, ledger) == []
        expect_flat(gauges)
        await expect_a_good_end(server)


def expect_flat(gauges: Gauges) -> None:
    """No gauge has grown by more than it may, or was ever above what it may be."""
    too_much = {
        name: (growth, most)
        for name, (_, growth, most) in gauges.judged().items()
        if growth > ALLOWANCES[name].growth or most > ALLOWANCES[name].most
    }
    assert too_much == {}
