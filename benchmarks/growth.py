"""What an event costs PostgreSQL: bytes kept, bytes of its log, and processor time, from the slope between two sizes.

Usage: ``python -m benchmarks.growth [EVENTS]``, with PostgreSQL's programs installed.
"""

import asyncio
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import asyncpg

from tests.postgres import Server, a_server
from tests.storage.databases import SECRETS
from tracker.domain.events import Hit
from tracker.storage.accounts import Accounts
from tracker.storage.messages import Messages, NewMessage
from tracker.storage.projections import Projections
from tracker.storage.shared import SharedDatabase
from tracker.storage.shared_journal import SharedJournal
from tracker.workers.projector import Projector

_BATCH = 64
_MESSAGES = 2_000
_AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"


async def main(events: int) -> None:
    server = a_server()
    try:
        shared = SharedDatabase(server.url(await server.create()))
        await shared.prepare(SECRETS)
        async with shared.main_database() as main, shared.inbox_database() as inbox:
            account = (await Accounts(main).create("growth"))[0].id
            messages = [_message(account, number) for number in range(_MESSAGES)]
            await Messages(main).add(*messages)
            journal = SharedJournal(inbox)
            projector = Projector(journal, Messages(main), Projections(main))
            await _make(journal, projector, account, messages, events // 5)
            before = await _seen(shared, server)
            await _make(journal, projector, account, messages, events)
            after = await _seen(shared, server)
        for what, first in before.items():
            print(f"{what}: {(after[what] - first) / events:.1f} an event")
    finally:
        server.remove()


def _message(account: bytes, number: int) -> NewMessage:
    return NewMessage(
        account=account,
        id=os.urandom(16),
        address=f"reader{number}@example.com",
        address_key=os.urandom(16),
        email=f"reader{number}@example.com",
        external_id=None,
        campaign="spring",
        topic=None,
        metadata={},
        opens=True,
        clicks=True,
        created_at=time.time_ns() // 1_000_000,
    )


async def _make(
    journal: SharedJournal, projector: Projector, account: bytes, messages: list[NewMessage], events: int
) -> None:
    """Append and project so many opens, as nodes do under load."""
    for start in range(0, events, _BATCH):
        at = time.time_ns() // 1_000_000
        hits = [
            Hit(
                type="opened",
                account=account,
                message=messages[(start + number) % len(messages)].id,
                occurred_at=at,
                user_agent=_AGENT,
                network="203.0.113.0/24",
            )
            for number in range(_BATCH)
        ]
        await journal.append(hits)
        if start // _BATCH % 32 == 31:
            await projector.turn()
    while await projector.turn():
        pass


async def _seen(shared: SharedDatabase, server: Server) -> dict[str, float]:
    connection: Any = await asyncpg.connect(shared.url)
    try:
        await connection.execute("vacuum")
        kept = await connection.fetchval("select pg_database_size(current_database())")
        log = await connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    finally:
        await connection.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "bytes kept": float(kept),
        "bytes of the log": float(log),
        "microseconds of our processor": (used.ru_utime + used.ru_stime) * 1e6,
        "microseconds of the database's": _database_s(server) * 1e6,
    }


def _database_s(server: Server) -> float:
    """Processor time of all processes of the server, those that have ended too."""
    ticks = os.sysconf("SC_CLK_TCK")
    postmaster = (server.home / "data" / "postmaster.pid").read_text().split()[0]
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if entry.name == postmaster:
            total += sum(int(value) for value in fields[11:15])
        elif fields[1] == postmaster:
            total += sum(int(value) for value in fields[11:13])
    return total / ticks


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
