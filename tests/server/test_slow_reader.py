"""Whoever reads an export a kilobyte a second costs the others nothing, and is sent away in the end."""

import asyncio
import contextlib
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import TRACKER, Account, Server, broken
from tests.server.ledger import Ledger
from tests.server.load import Load
from tests.server.wire import written_request

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_ROWS = 60_000
_PIECE = 256
_PAUSE_S = 0.25
_GLANCE_S = 0.1
_MOST = 64 << 20
_MOST_UNSENT = 1 << 20
"""What may lie in the system for each reader; left to itself it takes 4 MB."""

_FILL = """
insert into suppressions (account_id, address_key, scope, topic, reason, origin, id, email, created_at)
with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < :rows)
select
    :account, randomblob(16), 'account', '', 'manual', 'customer', cast(printf('%016d', number) as blob),
    'reader' || number || '@example.com', 1795341600000
from numbers
"""

_LOG = """
insert into suppression_changes
    (account_id, sequence, change, changed_at, suppression_id, scope, topic, reason, origin, created_at)
select account_id, row_number() over (order by id), 'added', created_at, id, scope, topic, reason, origin, created_at
from suppressions where account_id = :account
"""

_COUNT = "insert into suppression_counters (account_id, sequence) values (:account, :rows)"


def fill(server: Server, accounts: Sequence[Account]) -> None:
    """Give each account a list that no buffer holds."""
    with closing(sqlite3.connect(server.inbox, isolation_level=None)) as inbox:
        for account in accounts:
            for statement in (_FILL, _LOG, _COUNT):
                inbox.execute(statement, {"rows": _ROWS, "account": bytes.fromhex(account.id)})
        inbox.execute("pragma wal_checkpoint(truncate)")


class Watch:
    """The most that the server has taken since it began to be watched."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._usual = server.memory("VmRSS")
        self.most: Counter[str] = Counter()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._see("memory", self._server.memory("VmRSS") - self._usual)
            for file in (self._server.main, self._server.inbox):
                with contextlib.suppress(FileNotFoundError):
                    self._see(f"log of {file.name}", file.with_name(f"{file.name}-wal").stat().st_size)
            self._see("unsent", max(unsent(self._server.port), default=0))
            await asyncio.sleep(_GLANCE_S)

    def _see(self, what: str, size: int) -> None:
        self.most[what] = max(self.most[what], size)

    def faults(self) -> set[str]:
        """What there was too much of."""
        return {what for what, size in self.most.items() if size >= (_MOST_UNSENT if what == "unsent" else _MOST)}


def unsent(port: int) -> list[int]:
    """The bytes that the system keeps for each client of this port, also after the server has hung up."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [line for line in lines if int(line[1].rpartition(":")[2], 16) == port]
    return [int(line[4].partition(":")[0], 16) for line in ours]


def is_free(file: Path) -> bool:
    """Whether the whole log of this file can be moved into it: who reads in a transaction holds back what follows."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        busy, pages, moved = connection.execute("pragma wal_checkpoint(passive)").fetchone()
    return not busy and pages == moved


async def becomes_free(file: Path, within_s: float) -> bool:
    """Whether that is so at some moment: a request may be reading at any."""
    for _ in range(round(within_s / _GLANCE_S)):
        if is_free(file):
            return True
        await asyncio.sleep(_GLANCE_S)
    return False


@asynccontextmanager
async def slow_reader(server: Server, account: Account) -> AsyncIterator["asyncio.Task[None]"]:
    """A task that reads the export, and ends when the server hangs up."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", server.port))
        client.sendall(written_request("GET", "/v1/suppressions/export", account.authorization, b""))
        reading = asyncio.create_task(read_slowly(client))
        yield reading
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled() or reading.exception() is None


async def read_slowly(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    assert (await loop.sock_recv(client, _PIECE)).startswith(b"HTTP/1.1 200 ")
    with contextlib.suppress(ConnectionError):
        while True:
            piece = await loop.sock_recv(client, _PIECE)
            if not piece:
                return
            await asyncio.sleep(_PAUSE_S)


async def faults_of(server: Server, accounts: Sequence[Account], cuts: int, cut_within_s: float) -> set[str]:
    """What goes wrong while each account reads its list so slowly, anew whenever it has been cut."""
    watch, found = Watch(server), set[str]()
    watching = asyncio.create_task(watch.run())
    for _ in range(cuts):
        async with contextlib.AsyncExitStack() as stack:
            readers = [await stack.enter_async_context(slow_reader(server, account)) for account in accounts]
            # The last of them has its first bytes, and the log has grown meanwhile.
            await asyncio.sleep(1)
            for file in (server.main, server.inbox):
                if not await becomes_free(file, within_s=5):
                    found.add("open transaction")
            done, _ = await asyncio.wait(readers, timeout=cut_within_s)
            if len(done) < len(readers):
                found.add("not cut")
    watching.cancel()
    print(", ".join(f"{what} {size / (1 << 20):.1f} MiB" for what, size in sorted(watch.most.items())))
    return found | watch.faults()


@asynccontextmanager
async def loaded(folder: Path, program: Sequence[str], settings: dict[str, str]) -> AsyncIterator[tuple[Server, Load]]:
    """A server with three long lists, and readers whose opens and clicks are stored all the time."""
    ledger = Ledger()
    async with Server(folder, program=program, settings=settings) as server:
        accounts = [await server.create_account(name) for name in ("north", "south", "west")]
        fill(server, accounts)
        async with Load(server, accounts, ledger) as load:
            await load.grows(by=500)
            yield server, load
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


_QUICK = {"TRACKER_BODY_SECONDS": "2"}


@pytest.mark.parametrize(
    ("settings", "cuts", "cut_within_s"),
    [(_QUICK, 1, 20.0), pytest.param({}, 40, 60.0, marks=pytest.mark.long)],
)
async def test_slow_reader_of_an_export_is_nobodys_trouble(
    tmp_path: Path, settings: dict[str, str], cuts: int, cut_within_s: float
) -> None:
    """F18: memory, both logs and what lies in the system stay small, no transaction stays open, and it is cut; whoever
    asks again is answered again. The long form takes half an hour, with the settings as they are."""
    async with loaded(tmp_path / "data", TRACKER, settings) as (server, load):
        assert await faults_of(server, load.accounts, cuts, cut_within_s) == set()


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ("exports-in-one-read", "open transaction"),
        ("exports-from-memory", "memory"),
        ("waits-for-slow-readers", "not cut"),
        ("leaves-sending-to-the-system", "unsent"),
    ],
)
async def test_export_that_is_somebodys_trouble_is_caught(tmp_path: Path, how: str, fault: str) -> None:
    """F18's controls: one long SELECT, a list that is gathered first, no limit of time, buffers without one."""
    async with loaded(tmp_path / "data", broken(how), _QUICK) as (server, load):
        assert fault in await faults_of(server, load.accounts, 1, 20.0)
