"""The disk says that it could not write: nothing is promised from then on that a restart would not show."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.server.expectations import (
    expect_a_good_end,
    expect_accepted,
    expect_led_on,
    expect_no_message,
    expect_nothing_lost,
    expect_nothing_promised,
)
from tests.server.failing_calls import failing
from tests.server.harness import Server, broken
from tests.server.ledger import Ledger, faults
from tests.server.load import Client, Load, make_mails
from tests.server.recording import need_strace
from tests.server.stored import read_stored

pytestmark = [pytest.mark.fault, pytest.mark.anyio]


def logs_of(file: Path) -> tuple[Path, Path]:
    """The file and its log."""
    return file, file.with_name(f"{file.name}-wal")


def degraded(state: dict[str, Any]) -> bool:
    """Whether ``/readyz`` complains."""
    return bool(state["status"] == "degraded")


@pytest.mark.parametrize(("call", "error"), [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "EROFS")])
async def test_nothing_is_promised_after_a_failed_write(tmp_path: Path, call: str, error: str) -> None:
    """F04, F06: pixel and opt-out 503 until a restart, also when the disk is well again; links 302; nothing lost.

    A file system that finds itself damaged turns read-only in the middle of everything, which is ``EROFS``.
    """
    ledger = Ledger()
    async with Server(tmp_path / "data") as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mail, other = await make_mails(server, account, ledger, 2)
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            async with failing(server.pid, call, *logs_of(server.inbox), error=error):
                noticed_s = await server.health_when(degraded, within_s=5)
                # What was promised before is still on its way to those who asked.
                await asyncio.sleep(0.5)
                before = Counter(ledger.answers)
                await expect_led_on(server, reader, mail)
                await expect_nothing_promised(server, reader, mail)
                await load.answered("opened", 503, more=50)
            await expect_nothing_promised(server, reader, mail)
            assert await reader.check(account, [mail.name]) == [True]
            await load.answered("opened", 503, more=50)
            await load.answered("clicked", 302, more=10)
            grown = ledger.answers - before
            assert (grown["opened", 200], grown["unsubscribed", 200]) == (0, 0)
        print(f"noticed after {noticed_s:.2f} s, answers {dict(ledger.answers)}")
        server.kill()
        await server.start()
        await expect_nothing_lost(server, ledger)
        async with Client(server.port, ledger) as later:
            await expect_accepted(server, later, account, other)
        await expect_a_good_end(server)


@pytest.mark.parametrize("call", ["fdatasync", pytest.param("pwrite64", marks=pytest.mark.long)])
async def test_the_worker_gets_over_a_failed_write(tmp_path: Path, call: str) -> None:
    """F04: hits are accepted meanwhile, and the views are made up for, without a restart."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data") as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mail, other = await make_mails(server, account, ledger, 2)
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            worker = server.worker()
            assert worker is not None
            async with failing(worker, call, *logs_of(server.main)):
                await server.health_when(lambda state: state["projector_lag_seconds"] > 2, within_s=20)
                await expect_led_on(server, reader, mail)
                await expect_accepted(server, reader, account, mail)
                await load.grows(by=200)
            await expect_accepted(server, reader, account, other)
        print(f"caught up {await server.caught_up():.2f} s after the load")
        await expect_nothing_lost(server, ledger)
        server.kill()
        await server.start()
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


_WRITES = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("pragma journal_mode = wal")
database.execute("create table t (x)")
try:
    for _ in range(60):
        database.execute("insert into t values (randomblob(900))")
except sqlite3.Error as error:
    print(error.sqlite_errorname)
"""


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ("pwrite64", "ENOSPC", "SQLITE_FULL"),
        ("pwrite64", "EDQUOT", "SQLITE_IOERR_WRITE"),
        ("pwrite64", "EIO", "SQLITE_IOERR_WRITE"),
        ("fdatasync", "EDQUOT", "SQLITE_IOERR_FSYNC"),
    ],
)
def test_used_up_quota_looks_like_a_broken_disk(tmp_path: Path, call: str, error: str, said: str) -> None:
    """So it is treated like one. The day SQLite tells them apart, so can we."""
    need_strace()
    database = tmp_path / "tracker.db"
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when=40+")
    strace = ("strace", "-qq", "-f", "-o", os.devnull, "-P", f"{database}-wal", *inject)
    command = (*strace, sys.executable, "-c", _WRITES, str(database))
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == [said]


async def test_messages_wait_while_the_main_file_fails(tmp_path: Path) -> None:
    """F04: their maker is told to come again; hits go on; then all is well without a restart."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data") as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mail, *_ = await make_mails(server, account, ledger, 2)
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            async with failing(server.pid, "fdatasync", *logs_of(server.main)):
                await expect_no_message(server, account)
                await expect_accepted(server, reader, account, mail)
                await load.grows(by=100)
            await load.answered("message", 201, more=10)
        await expect_nothing_lost(server, ledger)
        server.kill()
        await server.start()
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_forgiving_a_failed_write_is_caught(tmp_path: Path) -> None:
    """F04's control: what was acknowledged while the disk failed is found missing."""
    ledger = Ledger()
    async with Server(tmp_path / "data", program=broken("forgives-failed-writes")) as server:
        account = await server.create_account("north")
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            async with failing(server.pid, "fdatasync", *logs_of(server.inbox)):
                await load.grows(by=200)
        server.kill()
        await server.start()
        await server.caught_up()
        assert "lost" in {fault.kind for fault in faults(ledger, read_stored(server.main, server.inbox))}
