"""Memory runs out while much is sent at once: the kernel kills, and nothing that was acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost, wrongly_answered
from tests.server.harness import TRACKER, Account, Server, broken, until
from tests.server.ledger import KINDS, Ledger, faults
from tests.server.little_memory import LittleMemory, little_memory
from tests.server.load import Client, Load
from tests.server.stored import read_stored
from tests.server.test_kill import projecting

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_MEMORY = 256 << 20
_BATCH = 1_000


@asynccontextmanager
async def batches(server: Server, accounts: Sequence[Account], ledger: Ledger) -> AsyncIterator[None]:
    """Each account makes large batches, one after the other."""

    async def make(account: Account) -> None:
        async with Client(server.port, ledger) as client:
            while True:
                await client.make_batch(account, _BATCH)

    making = [asyncio.create_task(make(account)) for account in accounts]
    try:
        yield
    finally:
        for task in making:
            task.cancel()
        await asyncio.wait(making)


async def killed_for_memory(
    server: Server, group: LittleMemory, accounts: Sequence[Account], ledger: Ledger, *, kills: int
) -> list[str]:
    """Load the server, let it be killed so many times, and say who was."""
    killed = []
    async with Load(server, accounts, ledger) as load, batches(server, accounts, ledger):
        for _ in range(kills):
            await projecting(server)
            await load.grows(by=200)
            worker = server.worker()
            await group.until_one_is_killed(_MEMORY)
            # The kernel counts it before it ends, and may kill more than one.
            await until(
                lambda worker=worker: server.ended() or server.worker() not in (None, worker),  # type: ignore[misc]
                within_s=120,
                what="the end of the server, or a new worker",
            )
            killed.append("server" if server.ended() else "worker")
            if server.ended():
                await server.start()
        await load.grows(by=200)
    return killed


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_nothing_acknowledged_is_lost_when_memory_runs_out(tmp_path: Path, kills: int) -> None:
    """F26, F24: 256 MB for server and worker, and less, under batches; what was answered is there once."""
    ledger = Ledger()
    with little_memory(_MEMORY) as group:
        async with Server(tmp_path / "data", program=group.around(TRACKER)) as server:
            accounts = [await server.create_account(name) for name in ("north", "south")]
            killed = await killed_for_memory(server, group, accounts, ledger, kills=kills)
            print(f"killed {killed}, answers {dict(ledger.answers)}, unknown {ledger.unknown}")
            assert all(ledger.acknowledged(kind) for kind in KINDS), "the load must have done some of everything"
            await server.caught_up(within_s=60)
            await expect_nothing_lost(server, ledger)
            assert await wrongly_answered(server, accounts, ledger) == []
            await expect_a_good_end(server)


@pytest.mark.long
async def test_answering_before_the_commit_is_caught_when_memory_runs_out(tmp_path: Path) -> None:
    """F26's control."""
    ledger = Ledger()
    with little_memory(_MEMORY) as group:
        program = group.around(broken("answers-before-the-commit"))
        async with Server(tmp_path / "data", program=program) as server:
            accounts = [await server.create_account("north")]
            while "server" not in await killed_for_memory(server, group, accounts, ledger, kills=1):
                pass
            await server.caught_up(within_s=60)
            assert "lost" in {fault.kind for fault in faults(ledger, read_stored(server.main, server.inbox))}
