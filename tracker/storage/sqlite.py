"""SQLite: one connection writes, in a thread of its own; a few read."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import aiosqlite

from .database import BadDatabase, Broken, Change, Refused, Row, Stale, Unavailable, Values
from .own_thread import OwnThread
from .statements import list_names, spread, take_apart

# Its debugging lines hold every parameter: addresses and secrets.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

T = TypeVar("T")

_STAND_BACK = 15
"""How nice a thread is that reads a whole file; 19 is the most."""

_WIDEST_INSERT = 256
"""Rows of one insert statement. Each width is prepared once and kept."""

_CHECKPOINT_PAGES = 8_000
"""How long the log grows before it is moved into the file, 32 MB. A page that many transactions write is moved once."""

_CACHED_KIB = 8_192
"""Of the connection that writes: a transaction whose pages have no room is written out before its time, some twice."""

_CHECKPOINTS = {True: "pragma wal_checkpoint(truncate)", False: "pragma wal_checkpoint(restart)"}

_DURABLE: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,  # full: NORMAL loses acknowledged commits at a power cut
    "secure_delete": 1,
    "foreign_keys": 1,
}


class SQLite:
    """A database file. ``attached`` is a second file whose tables its readers see as their own."""

    whole: ClassVar[bool] = False

    def __init__(
        self,
        path: Path,
        *,
        attached: Path | None = None,
        readers: int = 4,
        patience_ms: int = 1_000,
        log_kept_s: float = 10.0,
    ) -> None:
        self._path = path
        self._attached = attached
        self._readers_wanted = readers
        self._patience_ms = patience_ms
        self._locked_at = 0.0
        self._log_kept_s = log_kept_s
        self._emptied_at = float("-inf")

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        self._thread = OwnThread(f"writer of {self._path.name}")
        self._stack.callback(self._thread.close)
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        try:
            self._writer = await self._in_thread(self._open_writer)
            self._stack.push_async_callback(self._in_thread, self._writer.close)
            for _ in range(self._readers_wanted):
                self._readers.put_nowait(await self._open_reader())
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def fetch(self, sql: str, /, **params: object) -> list[Row]:
        statement, values = _bound(sql, params)
        async with self._reader() as reader:
            with _translated():
                rows: Any = await reader.execute_fetchall(statement, values)
                return list(rows)

    async def change(self, sql: str, /, **params: object) -> list[Row]:
        statement, values = _bound(sql, params)

        def work() -> list[Row]:
            return [dict(row) for row in self._writer.execute(statement, values)]

        return await self._transact(work)

    async def write(self, *changes: Change) -> None:
        def work() -> None:
            for change in changes:
                touched = self._run(change)
                if change.affects not in (None, touched):
                    raise Stale(f"{touched} rows instead of {change.affects}: {change.sql}")

        if len(changes) == 1 and _is_one_statement(changes[0]):
            # It is a transaction by itself. Begin and commit would each give up the interpreter's lock and wait
            # for it again behind the requests being answered, which costs more than the commit.
            await self._in_turn(work)
        else:
            await self._transact(work)

    async def scrub(self, *, at_once: bool = True) -> bool:
        """Move the log into the file and empty it: ``secure_delete`` clears the file's pages only.

        A log that was emptied grows with every commit, and its new size has to be made durable as well. So where it
        may wait, the log is emptied once in ``log_kept_s``, and in between it is written over from its beginning.
        """
        return await self._in_thread(partial(self._empty_log, at_once))

    async def inspect(self) -> list[str]:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        with contextlib.closing(connection), ThreadPoolExecutor(1, initializer=_stand_back) as thread:
            looking = asyncio.get_running_loop().run_in_executor(thread, _damages, connection)
            looking.add_done_callback(lambda done: done.cancelled() or done.exception())
            try:
                return await asyncio.shield(looking)
            finally:
                # Whoever ends does not wait until gigabytes have been read.
                while not looking.done():
                    connection.interrupt()
                    await asyncio.sleep(0.01)

    def _empty_log(self, at_once: bool) -> bool:
        now = time.monotonic()
        emptying = at_once or now - self._emptied_at >= self._log_kept_s
        # At once or not at all: while it waited for one who reads, nobody could write.
        self._writer.execute("pragma busy_timeout = 0")
        try:
            busy: int = self._writer.execute(_CHECKPOINTS[emptying]).fetchone()[0]
        finally:
            self._writer.execute(f"pragma busy_timeout = {self._patience_ms}")
        if busy or not emptying:
            return False
        self._emptied_at = now
        return True

    def _run(self, change: Change) -> int:
        bulk = take_apart(change.sql)
        if bulk is None:
            return sum(self._writer.execute(change.sql, row).rowcount for row in change.rows)
        rows, touched, start = change.rows, 0, 0
        while start < len(rows):
            width = min(_WIDEST_INSERT, len(rows) - start)
            values = list(chain.from_iterable(_in_order(row, bulk.names) for row in rows[start : start + width]))
            touched += self._writer.execute(bulk.statement(width), values).rowcount
            start += width
        return touched

    async def _transact(self, work: Callable[[], T]) -> T:
        def transaction() -> T:
            self._writer.execute("begin immediate")
            try:
                result = work()
                self._writer.execute("commit")
            except BaseException:
                # A full disk has rolled back already, and would say so.
                with contextlib.suppress(sqlite3.Error):
                    self._writer.execute("rollback")
                raise
            return result

        return await self._in_turn(transaction)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """Those who waited while another's patience with a lock ran out have been patient as well: one after the
        other, each for as long again, would be answered too late to be of use, and hold up the end of the server."""
        came = time.monotonic()

        def in_turn() -> T:
            if came < self._locked_at:
                raise Unavailable("SQLITE_BUSY: the database was locked all the while")
            try:
                return work()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                    self._locked_at = time.monotonic()
                raise

        return await self._in_thread(in_turn)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def translated() -> T:
            with _translated():
                return work()

        return await self._thread.run(translated)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[aiosqlite.Connection]:
        reader = await self._readers.get()
        try:
            yield reader
        finally:
            self._readers.put_nowait(reader)

    def _open_writer(self) -> sqlite3.Connection:
        with _opening(self._path):
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, cached_statements=512
            )
            try:
                connection.row_factory = sqlite3.Row
                connection.execute(f"pragma busy_timeout = {self._patience_ms}")
                connection.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
                connection.execute(f"pragma cache_size = -{_CACHED_KIB}")
                for pragma, wanted in _DURABLE.items():
                    _patiently(partial(_set, connection, pragma, wanted, self._path), self._patience_ms / 1000)
            except BaseException:
                connection.close()
                raise
        return connection

    async def _open_reader(self) -> aiosqlite.Connection:
        with _opening(self._path):
            reader = await self._stack.enter_async_context(
                aiosqlite.connect(self._path, isolation_level=None, cached_statements=512)
            )
            reader.row_factory = _named  # type: ignore[assignment]
            await reader.execute(f"pragma busy_timeout = {self._patience_ms}")
        if self._attached is not None:
            with _opening(self._attached):
                await reader.execute("attach database :path as inbox", {"path": str(self._attached)})
        await reader.execute("pragma query_only = on")
        return reader


def _stand_back() -> None:
    """This thread gives way to those that answer. On Linux priorities belong to threads, elsewhere to processes."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, _STAND_BACK)


def _damages(connection: sqlite3.Connection) -> list[str]:
    """Table by table: while one is read, the log can only grow."""
    try:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        said = [row[0] for name in names for row in connection.execute(f"pragma integrity_check('{name}')")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _trouble(error) from error
        return [str(error)]
    return [line for line in said if line != "ok"]


def _named(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> Row:
    """Made while it is read, in the reader's thread, and in two thirds of the time that ``sqlite3.Row`` takes."""
    return {column[0]: value for column, value in zip(cursor.description, row, strict=False)}


def _bound(sql: str, params: dict[str, object]) -> tuple[str, dict[str, object] | list[object]]:
    return spread(sql, params) if list_names(sql) else (sql, params)


def _is_one_statement(change: Change) -> bool:
    return change.affects is None and len(change.rows) <= _WIDEST_INSERT and take_apart(change.sql) is not None


def _in_order(row: Values, names: tuple[str, ...]) -> tuple[object, ...]:
    return row if isinstance(row, tuple) else tuple(row[name] for name in names)


def _patiently(work: Callable[[], None], patience_s: float) -> None:
    """Two that first switch a file to WAL at once meet, and SQLite's own patience does not cover that."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


def _set(connection: sqlite3.Connection, pragma: str, wanted: str | int, path: Path) -> None:
    """Builds of SQLite differ, and a pragma that is not understood is ignored in silence: so it is read back."""
    connection.execute(f"pragma {pragma} = {wanted}")
    found = connection.execute(f"pragma {pragma}").fetchone()
    if found is None or found[0] != wanted:
        kept = "no such setting" if found is None else found[0]
        raise BadDatabase(f"{path}: this SQLite has {kept} for {pragma} where {wanted} is needed")


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BadDatabase(f"cannot open the database {path}: {error}") from error


_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, OverflowError, UnicodeEncodeError)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _REFUSALS as error:
        raise Refused(str(error)) from error
    except sqlite3.Error as error:
        raise _trouble(error) from error


def _trouble(error: sqlite3.Error) -> OSError:
    """What SQLite's error says about the file.

    A failed write or fsync may have lost pages that the kernel calls clean. The shared-memory file is
    only an index, rebuilt from the log: failing to grow it loses nothing.
    """
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_IOERR") and "SHM" not in name:
        return Broken(f"{name}: {error}")
    return Unavailable(f"{name}: {error}")
