"""Two nodes on one PostgreSQL: restarts, kills and outages lose nothing, double nothing, and break no opt-out."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.postgres import Server as PostgreSQL
from tests.postgres import a_server
from tests.server.expectations import expect_a_good_end, expect_led_on, expect_nothing_promised, wrongly_answered
from tests.server.harness import TRACKER, Account, Server, broken
from tests.server.ledger import KINDS, Ledger, faults
from tests.server.load import Client, Load, make_mails
from tests.server.stored import Deed, read_shared
from tests.server.test_opt_outs import History, leave_and_check

pytestmark = [pytest.mark.fault, pytest.mark.postgres, pytest.mark.anyio]

_KEYS = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
_MORE = 150
"""Acknowledged deeds between two faults."""


@pytest.fixture
def postgres() -> Iterator[PostgreSQL]:
    """One of its own, which syncs; what it acknowledges early it would keep in memory for long."""
    server = a_server({"wal_writer_delay": "10s"})
    yield server
    server.remove()


@asynccontextmanager
async def nodes(
    folder: Path, postgres: PostgreSQL, *, program: Sequence[str] = TRACKER, number: int = 2
) -> AsyncIterator[tuple[str, list[Server]]]:
    """So many nodes of a new installation, and the URL of its database."""
    url = postgres.url(await postgres.create())
    settings = {"TRACKER_DATABASE_URL": url, "TRACKER_SECRET_KEYS": _KEYS}
    servers = [Server(folder / f"node{one}", program=program, settings=settings) for one in range(number)]
    async with AsyncExitStack() as stack:
        # At the same time: both bring the empty database to this release.
        await asyncio.gather(*(stack.enter_async_context(server) for server in servers))
        yield url, servers


async def settled(servers: Sequence[Server]) -> None:
    for server in servers:
        await server.caught_up(within_s=60)


async def expect_all_kept(url: str, servers: Sequence[Server], accounts: Sequence[Account], ledger: Ledger) -> None:
    """Acknowledged <= stored <= sent, each once, numbers without holes; every node refuses everybody who left."""
    await settled(servers)
    print(f"answers {dict(ledger.answers)}, unknown {ledger.unknown}")
    # Of clicks near a failure nothing is promised, and here there may be no others.
    assert {kind for kind, status in ledger.answers if status < 400} >= set(KINDS), (
        "the load must have done some of everything"
    )
    assert faults(ledger, await read_shared(url)) == []
    for server in servers:
        assert await wrongly_answered(server, accounts, ledger) == []


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.long)])
async def test_crashes_of_the_database_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres: PostgreSQL, rounds: int
) -> None:
    """F10: the nodes live, so all that they kept in memory counts too; a lost answer doubles no click."""
    ledger = Ledger(outlived=True)
    async with nodes(tmp_path, postgres) as (url, servers):
        accounts = [await servers[0].create_account(name) for name in ("north", "south")]
        await settled(servers)
        back_after_s = []
        async with Load(servers[0], accounts, ledger, beside=servers[1:]) as load:
            for _ in range(rounds):
                await load.grows(by=_MORE)
                await asyncio.to_thread(postgres.restart, "immediate")
                began = asyncio.get_running_loop().time()
                await load.answered("opened", 200, more=1)
                back_after_s.append(asyncio.get_running_loop().time() - began)
            await load.grows(by=_MORE)
        print(f"an open is stored again {[round(s, 2) for s in back_after_s]} s after PostgreSQL was back")
        await expect_all_kept(url, servers, accounts, ledger)
        for server in servers:
            await expect_a_good_end(server)


@pytest.mark.parametrize("rounds", [4, pytest.param(20, marks=pytest.mark.long)])
async def test_kills_of_nodes_and_workers_lose_nothing_and_double_nothing(
    tmp_path: Path, postgres: PostgreSQL, rounds: int
) -> None:
    """Whichever it is, and the database now and then; another worker takes the projection over."""
    ledger, chance = Ledger(), random.Random(rounds)
    async with nodes(tmp_path, postgres) as (url, servers):
        accounts = [await servers[0].create_account(name) for name in ("north", "south")]
        await settled(servers)
        async with Load(servers[0], accounts, ledger, beside=servers[1:]) as load:
            for number in range(rounds):
                await load.grows(by=chance.randrange(_MORE, 3 * _MORE))
                victim = chance.choice(servers)
                if number % 4 == 3:
                    await asyncio.to_thread(postgres.restart, "immediate")
                elif number % 2:
                    victim.signal_worker(signal.SIGKILL)
                else:
                    victim.kill()
                    await victim.start()
            await load.grows(by=_MORE)
        await expect_all_kept(url, servers, accounts, ledger)


async def test_opt_out_at_one_node_is_refused_by_the_other_at_once(tmp_path: Path, postgres: PostgreSQL) -> None:
    """F23 across nodes: no check that begins after an opt-out was answered says "allowed", wherever it is asked."""
    async with nodes(tmp_path, postgres) as (_, servers):
        history, ledger = History(), Ledger()
        account = await servers[0].create_account("north")
        mails = await make_mails(servers[0], account, ledger, 200)
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                here, there = servers[number % 2], servers[1 - number % 2]
                group.create_task(leave_and_check(here, mails[number::4], history, ledger, there))
        assert history.violations() == []
        assert len(history.left_at) == len(mails)


async def test_nodes_redirect_while_the_database_is_away(tmp_path: Path, postgres: PostgreSQL) -> None:
    """Both, and one that is started meanwhile; all heal by themselves, and the clicks that were kept arrive."""
    ledger = Ledger(outlived=True)
    async with nodes(tmp_path, postgres) as (url, servers):
        account = await servers[0].create_account("north")
        mails = await make_mails(servers[0], account, ledger, 6)
        await settled(servers)
        await asyncio.to_thread(postgres.stop, "immediate")
        servers[1].kill()
        await servers[1].start()
        for server, mail in zip(servers, mails, strict=False):
            async with Client(server.port, ledger) as reader:
                await expect_led_on(server, reader, mail)
                await server.health_when(lambda state: state["storage"] != "ok", within_s=10)
                await expect_nothing_promised(server, reader, mail)
                await expect_led_on(server, reader, mail)
        await asyncio.to_thread(postgres.start)
        await settled(servers)
        for server, mail in zip(servers, mails[2:], strict=False):
            async with Client(server.port, ledger) as reader:
                assert (await reader.open(mail)).status == 200  # type: ignore[union-attr]
        await expect_clicks(url, servers, ledger)
        for server in servers:
            await expect_a_good_end(server)


async def expect_clicks(url: str, servers: Sequence[Server], ledger: Ledger) -> None:
    await settled(servers)
    assert faults(ledger, await read_shared(url)) == []
    assert len(ledger.acknowledged("clicked")) == 4


async def test_newer_schema_found_after_the_start_ends_the_node(tmp_path: Path, postgres: PostgreSQL) -> None:
    """No waiting repairs it: the process ends with status 1, and the log says why."""
    async with nodes(tmp_path, postgres, number=1) as (url, [server]):
        connection = await asyncpg.connect(url)
        await connection.execute("insert into schema_versions values ('main', 9999, 'later', 0)")
        await connection.close()
        await asyncio.to_thread(postgres.stop)
        server.kill()
        await server.start()
        await asyncio.to_thread(postgres.start)
        status, _ = await server.stopped(within_s=30)
        assert status == 1
        assert "install the release that wrote it" in server.log()


async def test_early_acknowledgements_of_the_database_are_caught(tmp_path: Path, postgres: PostgreSQL) -> None:
    """F10's control: a session that does not wait for the disk loses what it acknowledged."""
    ledger = Ledger()
    async with nodes(tmp_path, postgres, program=broken("commits-asynchronously")) as (url, servers):
        accounts = [await servers[0].create_account("north")]
        await settled(servers)
        async with Load(servers[0], accounts, ledger, beside=servers[1:]) as load:
            for _ in range(3):
                await load.grows(by=_MORE)
                await asyncio.to_thread(postgres.restart, "immediate")
            await load.grows(by=1)
        await settled(servers)
        assert "lost" in {fault.kind for fault in faults(ledger, await read_shared(url))}


async def test_projector_that_takes_before_it_stores_is_caught(tmp_path: Path, postgres: PostgreSQL) -> None:
    """Killed in between, it loses events."""
    ledger = Ledger()
    async with nodes(tmp_path, postgres, program=broken("takes-before-it-stores"), number=1) as (url, [server]):
        accounts = [await server.create_account("north")]
        await settled([server])
        async with Load(server, accounts, ledger) as load:
            for _ in range(3):
                await load.grows(by=_MORE)
                await server.worker_other_than(server.signal_worker(signal.SIGKILL))
        await settled([server])
        lost = {fault.what.kind for fault in faults(ledger, await read_shared(url)) if isinstance(fault.what, Deed)}
        assert "opened" in lost
