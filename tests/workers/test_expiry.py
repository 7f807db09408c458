"""What is kept for a day is removed after it, also once storage was away for a while."""

import logging
import time

import pytest

from tests.storage.databases import Databases
from tests.storage.test_receipts import a_receipt
from tests.workers.states import until
from tracker.domain.receipts import KEPT_FOR_MS
from tracker.storage.receipts import Receipts, kept
from tracker.workers.clock import DayClock
from tracker.workers.expiry import Expiry

pytestmark = pytest.mark.anyio


async def keys_of(databases: Databases) -> list[bytes]:
    """Of the receipts in the inbox."""
    return [row["key"] for row in await databases.inbox.fetch("select key from receipts order by key")]


async def test_old_receipts_are_removed_and_young_ones_stay(databases: Databases) -> None:
    """A10.7: at the start, and from then on; what is a day old to the second goes."""
    now = time.time_ns() // 1_000_000
    old = [a_receipt(key=bytes([number]) * 16, created_at=now - KEPT_FOR_MS) for number in (1, 2)]
    young = a_receipt(key=bytes([3]) * 16, created_at=now - KEPT_FOR_MS + 600_000)
    await databases.inbox.write(*kept(old[0]), *kept(young))
    async with Expiry(Receipts(databases.inbox, databases.inbox.write), interval_s=0.01):
        await until(lambda: _is(databases, [young.key]))
        await databases.inbox.write(*kept(old[1]))
        await until(lambda: _is(databases, [young.key]))


async def test_expiry_outlives_an_outage(databases: Databases, caplog: pytest.LogCaptureFixture) -> None:
    """It says once that it cannot work, and goes on when it can."""
    await databases.inbox.write(*kept(a_receipt(created_at=0)))
    await databases.inbox.change("alter table receipts rename to hidden")
    async with Expiry(Receipts(databases.inbox, databases.inbox.write), interval_s=0.01):
        with caplog.at_level(logging.WARNING):
            await until(lambda: len(caplog.records) > 0)
            await databases.inbox.change("alter table hidden rename to receipts")
            await until(lambda: _is(databases, []))
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("what is too old is not removed: ")


async def test_nothing_is_removed_while_the_clock_is_not_believed(databases: Databases) -> None:
    """F09: forty days ahead everything looks old; set right again, each receipt is still there."""
    counted, time_of_day = 0.0, time.time()
    clock = DayClock(time_of_day=lambda: time_of_day, counted=lambda: counted)
    young = a_receipt(created_at=time.time_ns() // 1_000_000)
    await databases.inbox.write(*kept(young))
    time_of_day += 40 * 86_400
    looks = 0

    class Counting(Receipts):
        async def expire(self, *, now: int) -> int:
            nonlocal looks
            looks += 1
            return await super().expire(now=now)

    async with Expiry(Counting(databases.inbox, databases.inbox.write), interval_s=0.01, clock=clock):
        await until(lambda: _is(databases, [young.key]))
    assert looks == 0


async def _is(databases: Databases, keys: list[bytes]) -> bool:
    return await keys_of(databases) == keys
