"""What the journal leaves on the disk, and what a failing disk leaves of the journal."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.storage.databases import Databases, sqlite
from tests.storage.faults import files_can_grow_no_more
from tests.storage.samples import a_hit, open_journal
from tracker.storage.database import Broken, Unavailable
from tracker.storage.journal import Journal
from tracker.storage.sqlite import SQLite

pytestmark = pytest.mark.anyio


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    """SQLite alone keeps the journal in a file of ours."""
    async with sqlite(tmp_path) as opened:
        yield opened


async def keys_of(journal: Journal) -> list[int]:
    return [row["id"] for row in await journal.read(after=0, limit=100_000)]


NEEDLE = "a needle of a user agent"


def files_with_needle(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if NEEDLE.encode() in file.read_bytes()}


def empty_the_log_always(databases: Databases) -> None:
    assert isinstance(databases.inbox, SQLite)
    databases.inbox._log_kept_s = 0


async def test_trimmed_entries_are_gone_from_the_disk(databases: Databases, tmp_path: Path) -> None:
    """E-6: neither the file nor its log holds a byte of a user agent that was projected and trimmed."""
    empty_the_log_always(databases)
    journal = await open_journal(databases)
    await journal.append([a_hit(user_agent=f"{NEEDLE} {number}") for number in range(3_000)])
    assert files_with_needle(tmp_path) == {"tracker.db.inbox-wal"}
    await databases.inbox.scrub()
    assert files_with_needle(tmp_path) == {"tracker.db.inbox"}
    await journal.append([a_hit(user_agent=f"{NEEDLE} in the log")])
    await journal.trim(upto=await journal.reached())
    assert files_with_needle(tmp_path) == set()
    await journal.append([a_hit(user_agent=f"{NEEDLE} after a trim")])
    assert files_with_needle(tmp_path)
    await journal.trim(upto=await journal.reached())
    assert files_with_needle(tmp_path) == set()


async def test_entries_trimmed_one_after_the_other_are_gone_when_the_log_is(
    databases: Databases, tmp_path: Path
) -> None:
    """The log is written over for some seconds before it is emptied; until then every turn tries."""
    journal = await open_journal(databases)
    for _ in range(2):
        await journal.append([a_hit(user_agent=NEEDLE)])
        await journal.trim(upto=await journal.reached())
    assert files_with_needle(tmp_path) == {"tracker.db.inbox-wal"}
    empty_the_log_always(databases)
    assert await journal.trim(upto=await journal.reached()) == 0
    assert files_with_needle(tmp_path) == set()


async def test_trimmed_entries_that_somebody_reads_are_gone_later(databases: Databases, tmp_path: Path) -> None:
    """Who looks at the file meanwhile may delay it, and the next turn makes up for it."""
    journal = await open_journal(databases)
    await journal.append([a_hit(user_agent=NEEDLE)])
    with contextlib.closing(sqlite3.connect(tmp_path / "tracker.db.inbox", isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from journal").fetchall()
        assert await journal.trim(upto=1) == 1
        assert files_with_needle(tmp_path)
    assert await journal.trim(upto=1) == 0
    assert files_with_needle(tmp_path) == set()


async def test_entries_trimmed_before_a_crash_are_gone_after_it(databases: Databases, tmp_path: Path) -> None:
    """A process that ends between deleting and emptying the log leaves that to the next one."""
    journal = await open_journal(databases)
    await journal.append([a_hit(user_agent=NEEDLE)])
    await databases.inbox.change("delete from journal")
    assert files_with_needle(tmp_path)
    again = await open_journal(databases)
    await again.trim(upto=0)
    assert files_with_needle(tmp_path) == set()


@pytest.mark.parametrize("failing", ["append", "beat", "trim"])
async def test_after_one_failed_write_nothing_is_written(databases: Databases, failing: str) -> None:
    """R6: whichever write failed, nothing more is acknowledged until a restart; what is there can be read."""
    journal = await open_journal(databases)
    await journal.append([a_hit()])
    writes: dict[str, Callable[[], Awaitable[object]]] = {
        "append": lambda: journal.append([a_hit()]),
        "beat": journal.beat,
        "trim": lambda: journal.trim(upto=1),
    }
    with pytest.raises(Broken), files_can_grow_no_more():
        await writes[failing]()
    for write in writes.values():
        with pytest.raises(Broken, match="restart the server"):
            await write()
    assert await keys_of(journal) == [1]
    restarted = await open_journal(databases)
    await restarted.append([a_hit()])
    assert await keys_of(restarted) == [1, 2]


async def test_full_disk_breaks_nothing(databases: Databases) -> None:
    """Once there is room again, the same journal goes on."""
    journal = await open_journal(databases)
    await databases.inbox.change("pragma max_page_count = 1")
    with pytest.raises(Unavailable) as full:
        await journal.append([a_hit(user_agent="x" * 400) for _ in range(500)])
    assert not isinstance(full.value, Broken)
    await databases.inbox.change("pragma max_page_count = 100000")
    await journal.append([a_hit()])
    assert len(await keys_of(journal)) == 1
