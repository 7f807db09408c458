"""What is stopped, in memory: known from the start, and while the database is away."""

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT
from tests.workers.states import until
from tracker.domain.blocks import Kind, Stops
from tracker.storage.blocks import Blocks
from tracker.storage.database import Unavailable
from tracker.workers.stops import StopList

pytestmark = pytest.mark.anyio

NEVER_S = 1_000.0
EVIL = "https://evil.example/"


class Counting(Blocks):
    """Counts how often it is read."""

    read = 0

    async def stops(self) -> Stops:
        self.read += 1
        return await super().stops()


def stopped(stops: StopList) -> bool:
    return stops.now.refusal(ACCOUNT, EVIL) is not None


async def test_blocks_hold_from_the_start_and_are_reread_when_they_change(databases: Databases) -> None:
    """And only then."""
    blocks = Counting(databases.main)
    block, _ = await blocks.add(Kind.HOST, "evil.example", "x")
    async with StopList(blocks, interval_s=NEVER_S) as stops:
        assert stopped(stops)
        await stops.refresh()
        assert blocks.read == 1
        await blocks.remove(block)
        assert stopped(stops)
        await stops.refresh()
        assert not stopped(stops)
        assert blocks.read == 2


async def test_last_state_holds_while_the_database_is_away(databases: Databases) -> None:
    """Neither a block nor its end is invented; once it can be read again it is, by itself."""
    blocks = Blocks(databases.main)
    await blocks.add(Kind.HOST, "evil.example", "x")
    async with StopList(blocks, interval_s=0.002) as stops:
        await databases.main.change("alter table blocks rename to hidden")
        await databases.main.change("delete from hidden")
        await databases.main.change("update directory set version = version + 1")
        with pytest.raises(Unavailable):
            await stops.refresh()
        assert stopped(stops)
        await databases.main.change("alter table hidden rename to blocks")
        await until(lambda: not stopped(stops))
