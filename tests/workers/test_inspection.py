"""Damage that no query stumbles on is found by reading everything."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.workers.states import until
from tracker.storage.accounts import Accounts
from tracker.storage.database import Database
from tracker.storage.installation import Files, prepare
from tracker.storage.sqlite import SQLite
from tracker.workers.inspection import Inspection

pytestmark = pytest.mark.anyio

_PAGE = 4096


@pytest.fixture
async def files(tmp_path: Path) -> Files:
    """An installation with an account that has a recipient."""
    files = Files(tmp_path / "tracker.db")
    await prepare(files, None)
    async with files.main_database() as main:
        await Accounts(main).create("north")
    return files


@pytest.fixture
async def main(files: Files) -> AsyncIterator[SQLite]:
    """Its main file."""
    async with files.main_database() as opened:
        yield opened


def inspection(database: Database, **times: float) -> Inspection:
    return Inspection({"tracker.db": database}, Accounts(database), **times)


def spoil_an_index(file: Path) -> None:
    """Change the account in the first entry of an index: its row is no longer found by it."""
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute(
            "select rootpage from sqlite_master where name = 'sqlite_autoindex_accounts_1'"
        ).fetchone()
    content = bytearray(file.read_bytes())
    content[page * _PAGE - 6] ^= 1
    file.write_bytes(content)


async def test_whole_files_are_quiet(main: SQLite, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said and nothing claimed."""
    inspected = inspection(main)
    await inspected.turn()
    assert not inspected.damaged
    assert caplog.records == []


async def test_a_damaged_index_is_told(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """F14: with the name of the file and what to do, by itself soon after the start."""
    spoil_an_index(files.main)
    async with files.main_database() as main, inspection(main, first_after_s=0.0) as inspected:

        async def told() -> bool:
            return inspected.damaged

        await until(told)
    said = caplog.records[0]
    assert said.levelno == logging.CRITICAL
    assert "the database is damaged, restore a backup: tracker.db: " in said.getMessage()
    assert "sqlite_autoindex_accounts_1" in said.getMessage()


async def test_an_account_that_would_find_no_opt_out_is_told(main: SQLite, caplog: pytest.LogCaptureFixture) -> None:
    """F14: a pepper that changed gives every address another key, and a check would allow everybody."""
    await main.change(
        "insert into recipients (account_id, id, address, address_key, created_at)"
        " select id, id, 'ada@example.com', id, 0 from accounts"
    )
    inspected = inspection(main)
    await inspected.turn()
    assert inspected.damaged
    assert "does not find its addresses" in caplog.records[0].getMessage()


async def test_the_end_does_not_wait_for_an_inspection(main: SQLite) -> None:
    """Reading gigabytes would take longer than a service manager waits."""
    await main.change("create table big (content bytea)")
    await main.change(
        "insert into big with recursive n (i) as (select 1 union all select i + 1 from n where i < 30000)"
        " select randomblob(5000) from n"
    )
    looking = asyncio.create_task(main.inspect())
    await asyncio.sleep(0.02)
    assert not looking.done()
    looking.cancel()
    began = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert asyncio.get_running_loop().time() - began < 0.1
