"""SQLite in particular: its settings, its locks, its errors, and what stays on the disk."""

import asyncio
import contextlib
import logging
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.faults import files_can_grow_no_more
from tracker.storage.database import BadDatabase, Broken, Change, Refused, Unavailable
from tracker.storage.sqlite import SQLite, _set, _trouble

pytestmark = pytest.mark.anyio

INSERT = "insert into sample (id, name) values (:id, :name)"
COUNT = "select count(*) as rows from sample"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "sample.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SQLite]:
    """A database with one table, which waits for a lock no longer than a test can bear."""
    async with SQLite(path, patience_ms=20) as opened:
        await opened.change("create table sample (id bigint not null primary key, name text)")
        yield opened


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def open_files() -> int:
    """How many this process has open, where the system tells."""
    handles = Path("/proc/self/fd")
    return len(list(handles.iterdir())) if handles.exists() else 0


async def count(database: SQLite) -> int:
    return int((await database.fetch(COUNT))[0]["rows"])


async def add(database: SQLite, *numbers: int, name: str = "x") -> None:
    await database.write(Change(INSERT, [{"id": number, "name": name} for number in numbers]))


@contextmanager
def locked_by_another_connection(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    """With a transaction that has written and does not end."""
    script = (
        "import sqlite3, sys\n"
        "other = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "other.execute('begin immediate')\n"
        "other.execute('delete from sample')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.communicate()


async def test_settings_that_durability_stands_on_hold(database: SQLite) -> None:
    """R2: on the connection that writes, as the database itself says."""
    for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 1), ("foreign_keys", 1)):
        assert [tuple(row.values()) for row in await database.change(f"pragma {pragma}")] == [(wanted,)]


async def test_database_that_cannot_be_durable_is_refused() -> None:
    """R2: builds of SQLite differ, and say nothing when a setting does not take."""
    with pytest.raises(BadDatabase, match=r":memory:.*memory for journal_mode where wal is needed"):
        async with SQLite(Path(":memory:")):
            pytest.fail("opened")


@pytest.mark.parametrize(("pragma", "wanted"), [("unheard_of", 1), ("page_size", 3)])
def test_setting_that_does_not_take_is_refused(pragma: str, wanted: int, path: Path) -> None:
    """One that this build does not know, and one that it knows better."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        _set(connection, "user_version", 7, path)
        with pytest.raises(BadDatabase, match=f"sample.db: this SQLite has .* for {pragma} where {wanted} is needed"):
            _set(connection, pragma, wanted, path)


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda path: path.write_bytes(b"no database at all" * 100)])
async def test_file_that_is_no_database_is_named(path: Path, spoil: object) -> None:
    """The operator reads which file it is."""
    assert callable(spoil)
    spoil(path)
    with pytest.raises(BadDatabase, match=r"cannot open the database .*sample\.db"):
        async with SQLite(path):
            pytest.fail("opened")


async def test_attached_file_that_is_no_database_is_named(path: Path, tmp_path: Path) -> None:
    """And not the other one."""
    inbox = tmp_path / "sample.db.inbox"
    inbox.mkdir()
    with pytest.raises(BadDatabase, match=r"cannot open the database .*sample\.db\.inbox"):
        async with SQLite(path, attached=inbox):
            pytest.fail("opened")


async def test_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    """Nothing is made where the operator did not expect it."""
    with pytest.raises(BadDatabase, match="missing"):
        async with SQLite(tmp_path / "missing" / "sample.db"):
            pytest.fail("opened")
    assert not (tmp_path / "missing").exists()


async def test_locked_database_is_unavailable_and_heals(database: SQLite, path: Path) -> None:
    """It is not the data's fault: the same data is taken as soon as the lock is gone."""
    with locked_by_another_connection(path):
        with pytest.raises(Unavailable, match="SQLITE_BUSY") as locked:
            await add(database, 1)
        with pytest.raises(Unavailable):
            await database.change(f"{INSERT} returning id", id=1, name="x")
        assert not isinstance(locked.value, Broken)
        assert await count(database) == 0
    await add(database, 1)
    assert await count(database) == 1


async def test_writer_waits_for_a_lock_as_long_as_it_is_patient(path: Path) -> None:
    """Two that write by turns do not fail each other."""
    async with SQLite(path, patience_ms=60_000) as database:
        await database.change("create table sample (id bigint not null primary key, name text)")
        with locked_by_another_connection(path):
            writing = asyncio.create_task(add(database, 1))
            await asyncio.wait({writing}, timeout=0.05)
            assert not writing.done()
        await writing
        assert await count(database) == 1


async def test_those_who_waited_for_the_same_lock_fail_together(database: SQLite, path: Path) -> None:
    """Each with a patience of its own, the last of many would hear of it minutes later."""
    with contextlib.ExitStack() as lock:
        lock.enter_context(locked_by_another_connection(path))
        writing = [asyncio.create_task(add(database, number)) for number in range(20)]
        # Gone before the second had its turn: it would now be stored, had it not been given up with the first.
        writing[0].add_done_callback(lambda _: lock.close())
        failures = await asyncio.gather(*writing, return_exceptions=True)
    assert [type(failure) for failure in failures] == [Unavailable] * 20
    await add(database, 21)
    assert await count(database) == 1


async def test_reads_go_on_while_another_process_writes(database: SQLite, path: Path) -> None:
    """And see nothing of what it has not committed."""
    await add(database, 1, 2, 3)
    with locked_by_another_process(path):
        assert await asyncio.gather(*(count(database) for _ in range(20))) == [3] * 20
        with pytest.raises(Unavailable):
            await add(database, 4)
    await add(database, 4)
    assert await count(database) == 4


async def test_failed_transaction_leaves_no_lock_behind(database: SQLite, path: Path) -> None:
    """Refused, cut off or broken off by a mistake: another process can write afterwards."""
    await add(database, 1)
    with pytest.raises(Refused):
        await add(database, 2, 1)
    with pytest.raises(KeyError):
        await database.write(Change(INSERT, [{"id": 3}]))
    writing = asyncio.create_task(add(database, 4))
    await asyncio.wait({writing}, timeout=0)
    writing.cancel()
    assert await count(database) in (1, 2)
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    await add(database, 5)
    with locked_by_another_connection(path):
        assert {row["id"] for row in await database.fetch("select id from sample")} >= {1, 5}


async def test_full_database_is_unavailable_and_heals(database: SQLite) -> None:
    """R5: SQLite has rolled back by itself then; what is there can be read, and with room it goes on."""
    await add(database, 1)
    await database.change("pragma max_page_count = 1")
    with pytest.raises(Unavailable, match="SQLITE_FULL") as full:
        await add(database, *range(2, 2_000), name="x" * 100)
    assert not isinstance(full.value, Broken)
    assert await count(database) == 1
    await database.change("pragma max_page_count = 100000")
    await add(database, *range(2, 2_000), name="x" * 100)
    assert await count(database) == 1_999


async def test_failed_write_breaks_the_database(database: SQLite) -> None:
    """R6: what the file holds then is unknown, which is another thing than a full disk."""
    await add(database, 1)
    with pytest.raises(Broken, match="SQLITE_IOERR_WRITE"), files_can_grow_no_more():
        await add(database, 2)
    assert await count(database) == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_IOERR_WRITE", Broken),
        ("SQLITE_IOERR_FSYNC", Broken),
        ("SQLITE_IOERR_DIR_FSYNC", Broken),
        ("SQLITE_IOERR", Broken),
        ("SQLITE_IOERR_SHMSIZE", Unavailable),
        ("SQLITE_IOERR_SHMMAP", Unavailable),
        ("SQLITE_FULL", Unavailable),
        ("SQLITE_BUSY", Unavailable),
        ("SQLITE_READONLY", Unavailable),
        ("SQLITE_CORRUPT", Unavailable),
        ("", Unavailable),
    ],
)
def test_only_a_failed_write_or_fsync_breaks(name: str, kind: type[OSError]) -> None:
    """The shared-memory file is an index that is made anew: a full disk fails on it first."""
    error = sqlite3.OperationalError("said SQLite")
    error.sqlite_errorname = name
    assert type(_trouble(error)) is kind
    assert "said SQLite" in str(_trouble(error))


async def test_scrub_empties_the_log(database: SQLite, path: Path) -> None:
    """The file alone is left, with everything in it."""
    log = path.with_name("sample.db-wal")
    await add(database, *range(100))
    assert log.stat().st_size > 0
    assert await database.scrub()
    assert log.stat().st_size == 0
    assert await count(database) == 100


async def test_log_is_written_over_where_it_may_wait(database: SQLite, path: Path) -> None:
    """It keeps its room, for a log that grows makes every commit wait longer for the disk."""
    log = path.with_name("sample.db-wal")
    assert await database.scrub(at_once=False)
    for first in range(0, 1_000, 100):
        await add(database, *range(first, first + 100))
    room = log.stat().st_size
    assert not await database.scrub(at_once=False)
    await add(database, 1_000)
    assert log.stat().st_size == room
    assert await database.scrub()
    assert log.stat().st_size == 0


async def test_log_is_emptied_when_it_has_waited(path: Path) -> None:
    """However often it is asked in between."""
    async with SQLite(path, log_kept_s=0) as database:
        for _ in range(3):
            await database.change("create table if not exists sample (id bigint not null primary key, name text)")
            await add(database, *range(3))
            await database.change("delete from sample")
            assert await database.scrub(at_once=False)
            assert path.with_name("sample.db-wal").stat().st_size == 0


async def test_scrub_waits_for_nobody(path: Path) -> None:
    """Who reads for long may keep deleted rows a while, and never keeps anybody from writing."""
    async with SQLite(path, patience_ms=60_000) as database:
        await database.change("create table sample (id bigint not null primary key, name text)")
        await add(database, 1)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute(COUNT).fetchall()
            await add(database, 2)
            assert not await asyncio.wait_for(database.scrub(), 10)
            await add(database, 3)
        assert await database.scrub()
        # Its patience with others who write is as it was.
        assert [tuple(row.values()) for row in await database.change("pragma busy_timeout")] == [(60_000,)]


async def test_parameters_are_never_logged(database: SQLite, caplog: pytest.LogCaptureFixture) -> None:
    """B-22: not even where everything else is."""
    caplog.set_level(logging.DEBUG)
    await database.fetch("select :address as address", address="ada@example.com")
    await add(database, 1, name="ada@example.com")
    assert "ada@example.com" not in caplog.text


async def test_rows_inserted_alone_are_bound_by_position(database: SQLite) -> None:
    """A tuple for named parameters is deprecated since Python 3.12, and an error from 3.14 on."""
    await database.write(Change(INSERT, [(1, "x")]))
    assert [tuple(row.values()) for row in await database.fetch("select id, name from sample")] == [(1, "x")]


async def test_readers_see_the_attached_file(tmp_path: Path) -> None:
    """One statement may ask both files, and writes to neither."""
    async with SQLite(tmp_path / "inbox") as inbox:
        await inbox.change("create table hits (id bigint not null primary key)")
        async with SQLite(tmp_path / "main", attached=tmp_path / "inbox") as main:
            await inbox.change("insert into hits (id) values (:id)", id=7)
            assert [dict(row) for row in await main.fetch("select id from hits")] == [{"id": 7}]
            with pytest.raises(Unavailable):
                await main.fetch("delete from hits returning id")
            with pytest.raises(Unavailable):
                await main.change("delete from hits")
        assert [dict(row) for row in await inbox.fetch("select id from hits")] == [{"id": 7}]


async def test_closing_leaves_one_file(tmp_path: Path) -> None:
    """Everything is in it, and no handle stays open."""
    before = open_files()
    async with SQLite(tmp_path / "sample.db") as database:
        await database.change("create table sample (id bigint not null primary key, name text)")
        await asyncio.gather(*(add(database, number) for number in range(50)))
    assert names_in(tmp_path) == ["sample.db"]
    assert open_files() == before
    with contextlib.closing(sqlite3.connect(tmp_path / "sample.db")) as again:
        assert again.execute(COUNT).fetchone() == (50,)


async def test_what_was_begun_is_finished_before_closing(path: Path) -> None:
    """Its caller may be gone."""
    async with SQLite(path) as database:
        await database.change("create table sample (id bigint not null primary key, name text)")
        writing = [asyncio.create_task(add(database, number)) for number in range(20)]
        await asyncio.wait(writing, timeout=0)
        for one in writing:
            one.cancel()
        await asyncio.wait(writing)
    with contextlib.closing(sqlite3.connect(path)) as again:
        assert again.execute(COUNT).fetchone() == (20,)
