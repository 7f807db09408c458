"""PostgreSQL: one connection writes, a few read; all come back by themselves after an outage."""

import asyncio
import contextlib
import functools
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import resources
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import asyncpg

from .database import BadDatabase, Change, Refused, Row, Stale, Unavailable, Values
from .statements import load_statements

# Its debugging lines hold parameters: addresses and secrets.
logging.getLogger("asyncpg").setLevel(logging.INFO)

T = TypeVar("T")

_OWN = load_statements("postgresql", "overlay")

_CONNECT_S = 5.0
_CLOSE_S = 1.0
_WATCH_S = 2.0
_LONGEST_PAUSE_S = 1.0
_TRIES = 4
"""How often a transaction is begun that met another in a circle of locks; PostgreSQL ended one of them."""

_LIST = re.compile(r"\bin \(:([a-z_]+)\)")
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
_ORDERED_JOIN = re.compile(r"\bcross join (\w+ \w+ on)\b")
"""What SQLite takes for an order it has to keep to, and PostgreSQL for a mistake."""
_TABLE = re.compile(r"(?:\s*--[^\n]*\n)*\s*(?:create|alter) table\b")
_BULK = re.compile(
    r"\A(.*)\bvalues\s*\(\s*(:[a-z_]+(?:::[a-z]+)?(?:\s*,\s*:[a-z_]+(?:::[a-z]+)?)*)\s*\)([^:]*)\Z", re.DOTALL
)


class _Statement(NamedTuple):
    """A statement with ``$1``, ``$2``, ...: the names they stand for, and those that stand in its ``values``."""

    text: str
    names: tuple[str, ...]
    lists: tuple[str, ...]
    head: str
    columns: tuple[str, ...]
    tail: str

    def values(self, row: Values) -> Sequence[object]:
        """What the parameters are of this row."""
        given = row if isinstance(row, Mapping) else dict(zip(self.columns or self.names, row, strict=True))
        for name in self.lists:
            if not isinstance(given[name], (list, tuple)):
                raise TypeError(f"the parameter {name!r} must be a list")
        return [given[name] for name in self.names]

    def arrays(self, rows: Sequence[Values]) -> Sequence[Sequence[object]]:
        """The rows as one list a column."""
        return list(zip(*(self._tuple(row) for row in rows), strict=True))

    def _tuple(self, row: Values) -> tuple[object, ...]:
        return row if isinstance(row, tuple) else tuple(row[name] for name in self.columns)


@functools.cache
def _overlay() -> Mapping[str, str]:
    """What stands here for a statement of ``sql/``: the few that PostgreSQL understands otherwise or not at all."""
    found = {}
    for script in (resources.files(__package__) / "overlay").iterdir():
        subject = script.name.removesuffix(".sql")
        if (resources.files(__package__) / "sql" / script.name).is_file():
            shared = load_statements(subject)
            found.update({shared[name]: sql for name, sql in load_statements(subject, "overlay").items()})
    return found


@functools.cache
def _statement(sql: str) -> _Statement:
    sql = _overlay().get(sql, sql)
    if _TABLE.match(sql):
        # Order and comparison are of bytes, as in the other database; and no integer is too small for a key.
        sql = re.sub(r"\binteger\b", "bigint", re.sub(r"\btext\b", 'text collate "C"', sql))
    lists = tuple(_LIST.findall(sql))
    sql = _ORDERED_JOIN.sub(r"join \1", _LIST.sub(r"= any(:\1)", sql))
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    text = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", sql)
    bulk = _BULK.match(sql)
    if bulk is None or _PARAMETER.search(bulk[1]):
        return _Statement(text, names, lists, "", (), "")
    return _Statement(text, names, lists, bulk[1], tuple(_PARAMETER.findall(bulk[2])), bulk[3])


class PostgreSQL:
    """A database of a server, both parts of an installation in one.

    ``patience_ms`` is how long the server works on one statement. ``usable`` says whether anybody may ask yet.
    """

    whole: ClassVar[bool] = True

    def __init__(
        self, url: str, *, readers: int = 4, patience_ms: int = 10_000, usable: Callable[[], bool] = lambda: True
    ) -> None:
        self._url = url
        self._readers = readers
        self._patience_ms = patience_ms
        self._usable = usable
        self._types: dict[str, tuple[str, ...]] = {}
        self._writer: Any = None
        self._working: set[asyncio.Task[Any]] = set()
        self._pause_s = 0.0
        self._asked_again_at = 0.0
        self._lost_at = 0.0

    async def __aenter__(self) -> Self:
        """Connects to nothing: the server may be away."""
        self._turn = asyncio.Lock()
        self._pool: Any = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._readers,
            connect=functools.partial(self._connected, reads=True),
            reset=_left_as_it_is,
            **self._options(),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        async with self._turn:
            if self._writer is not None:
                await _closed(self._writer)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pool.close(), _CLOSE_S)

    async def fetch(self, sql: str, /, **params: object) -> list[Row]:
        return await self._to_its_end(self._read(_statement(sql), params))

    async def change(self, sql: str, /, **params: object) -> list[Row]:
        statement = _statement(sql)

        async def work(writer: Any) -> list[Row]:
            return [dict(row) for row in await writer.fetch(statement.text, *statement.values(params))]

        return await self._to_its_end(self._worked(work))

    async def write(self, *changes: Change) -> None:
        wanted = [change for change in changes if change.rows or change.affects]

        async def work(writer: Any) -> None:
            if not wanted:
                await self._see_that_it_writes(writer)
            elif len(wanted) == 1 and wanted[0].affects is None and _is_one_statement(wanted[0]):
                await self._run(writer, wanted[0])
            else:
                async with writer.transaction():
                    for change in wanted:
                        await self._run_as_wanted(writer, change)

        await self._to_its_end(self._worked(work))

    async def inspect(self) -> list[str]:
        return [f"{row['checksum_failures']} pages had wrong checksums" for row in await self.fetch(_OWN["damages"])]

    async def scrub(self, *, at_once: bool = True) -> bool:  # noqa: ARG002
        """The server's own housekeeping clears its files."""
        return True

    async def nature(self) -> Row:
        """``encoding``, ``fsync`` and ``version`` (as a number, such as 150_018) of the server."""
        return (await self.fetch(_OWN["nature"]))[0]

    @asynccontextmanager
    async def alone(self, number: int, *, poll_s: float = 0.2) -> AsyncIterator[asyncio.Event]:
        """Wait until nobody else is in here under this number, on a connection of its own.

        What is given is set when that connection has ended, and with it the lock.
        """
        connection, ended, leaving = await self._locked(number, poll_s), asyncio.Event(), asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        watching = asyncio.create_task(_watch(connection, ended, leaving))
        try:
            yield ended
        finally:
            leaving.set()
            await watching
            await _closed(connection)

    async def _locked(self, number: int, poll_s: float) -> Any:
        trying, connection = None, None
        try:
            while True:
                trying = asyncio.create_task(self._try_lock(connection, number))
                connection, got = await asyncio.shield(trying)
                if got:
                    return connection
                await asyncio.sleep(poll_s)
        except BaseException:
            if trying is not None:
                # The driver does not like to be cut off in the middle of a word.
                await asyncio.wait((trying,))
                connection = trying.result()[0]
            if connection is not None:
                connection.terminate()
            raise

    async def _try_lock(self, connection: Any, number: int) -> tuple[Any, bool]:
        statement = _statement(_OWN["try_lock"])
        try:
            with _translated():
                connection = connection or await self._connected(self._url, **self._options())
                return connection, await connection.fetchval(statement.text, number)
        except Unavailable:
            return None, False

    def _options(self) -> dict[str, Any]:
        return {
            "timeout": _CONNECT_S,
            # The server ends a statement by itself, unless nothing of it is heard any more.
            "command_timeout": self._patience_ms / 1000 + 2,
            "target_session_attrs": "read-write",  # never a replica: it may not know an opt-out yet
            "statement_cache_size": 512,
        }

    async def _connected(self, url: str, *, reads: bool = False, **options: Any) -> Any:
        """A connection that is set up. After one that failed, those who come meanwhile are told at once."""
        if time.monotonic() < self._asked_again_at:
            raise Unavailable("PostgreSQL cannot be reached")
        connection: Any = None
        try:
            connection = await _connect(url, options)
            patience = str(self._patience_ms)
            set_up = _statement(_OWN["set_up"])
            given = {"patience_ms": patience, "reads": "on" if reads else "off"}
            await connection.execute(set_up.text, *set_up.values(given))
        except Exception:
            if connection is not None:
                connection.terminate()
            self._pause_s = min(2 * self._pause_s or 0.05, _LONGEST_PAUSE_S)
            self._lost_at = time.monotonic()
            self._asked_again_at = self._lost_at + self._pause_s
            raise
        self._pause_s = 0.0
        return connection

    def _refuse_unusable(self) -> None:
        if not self._usable():
            raise Unavailable("PostgreSQL has not been reached since the start")

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Once begun it is finished, even if whoever waits is cancelled; the driver would end the connection."""
        working = asyncio.create_task(work)
        self._working.add(working)
        working.add_done_callback(self._done)
        return await asyncio.shield(working)

    def _done(self, working: asyncio.Task[Any]) -> None:
        # Whoever waited may have been cancelled meanwhile, and then nobody is left to hear of a failure.
        self._working.discard(working)
        if not working.cancelled():
            working.exception()

    async def _read(self, statement: _Statement, params: Mapping[str, object]) -> list[Row]:
        with _translated():
            self._refuse_unusable()
            async with self._pool.acquire(timeout=self._patience_ms / 1000) as reader:
                return [dict(row) for row in await reader.fetch(statement.text, *statement.values(params))]

    async def _worked(self, work: Callable[[Any], Awaitable[T]]) -> T:
        came = time.monotonic()
        async with self._turn:
            with _translated():
                self._refuse_unusable()
                if came < self._lost_at:
                    # One after the other would wait for a server that does not answer, each for as long again.
                    raise Unavailable("PostgreSQL was lost meanwhile")
                for _ in range(_TRIES - 1):
                    with contextlib.suppress(asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                        return await self._tried(work)
                return await self._tried(work)

    async def _tried(self, work: Callable[[Any], Awaitable[T]]) -> T:
        if self._writer is None or self._writer.is_closed():
            self._writer = await self._connected(self._url, **self._options())
        try:
            return await work(self._writer)
        except Exception as error:
            # Half a conversation is none; and one who became a replica is left.
            if isinstance(error, (OSError, asyncpg.ReadOnlySQLTransactionError)) or self._writer.is_closed():
                self._writer.terminate()
                self._lost_at = time.monotonic()
            raise

    async def _see_that_it_writes(self, writer: Any) -> None:
        if await writer.fetchval(_OWN["writable"]):
            writer.terminate()
            raise Unavailable("PostgreSQL takes no writes here: it is a replica, or read-only")

    async def _run_as_wanted(self, writer: Any, change: Change) -> None:
        touched = await self._run(writer, change)
        if change.affects not in (None, touched):
            raise Stale(f"{touched} rows instead of {change.affects}: {change.sql}")

    async def _run(self, writer: Any, change: Change) -> int:
        """Run a change for all its rows, and give the number of rows it touched."""
        statement = _statement(change.sql)
        if not change.rows:
            return 0
        if len(change.rows) == 1:
            return _touched(await writer.execute(statement.text, *statement.values(change.rows[0])))
        if statement.columns:
            text = await self._unnested(writer, statement)
            return _touched(await writer.execute(text, *statement.arrays(change.rows)))
        rows = [statement.values(row) for row in change.rows]
        return len(await writer.fetchmany(f"{statement.text} returning 1", rows))

    async def _unnested(self, writer: Any, statement: _Statement) -> str:
        """The statement for any number of rows, one array a column, whose types the database knows."""
        if statement.text not in self._types:
            prepared = await writer.prepare(statement.text)
            self._types[statement.text] = tuple(kind.name for kind in prepared.get_parameters())
        types = dict(zip(statement.names, self._types[statement.text], strict=True))
        arrays = ", ".join(f"${place}::{types[name]}[]" for place, name in enumerate(statement.columns, 1))
        return f"{statement.head}{_OWN['rows']}({arrays}){statement.tail}"


def _is_one_statement(change: Change) -> bool:
    return len(change.rows) == 1 or bool(_statement(change.sql).columns)


def _touched(status: str) -> int:
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0


async def _watch(connection: Any, ended: asyncio.Event, leaving: asyncio.Event) -> None:
    """A network that falls silent ends nothing here by itself, while the server has given the lock to another."""
    while not (ended.is_set() or leaving.is_set()):
        try:
            await asyncio.wait_for(leaving.wait(), _WATCH_S)
        except TimeoutError:
            try:
                await connection.execute(_OWN["writable"], timeout=_CONNECT_S)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                ended.set()


async def _left_as_it_is(_: Any) -> None:
    """The driver would ask for a reset after each question, and undo how the session was set up."""


async def _connect(url: str, options: Mapping[str, Any]) -> Any:
    try:
        return await asyncpg.connect(url, **options)
    except ValueError:
        # Its words may repeat the password.
        raise BadDatabase("TRACKER_DATABASE_URL is no URL of a PostgreSQL that can be understood") from None


async def _closed(connection: Any) -> None:
    try:
        await connection.close(timeout=_CLOSE_S)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


@contextmanager
def _translated() -> Iterator[None]:
    """The driver's errors in our words."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        if isinstance(error, Unavailable):
            raise
        raise (Refused if _refuses(error) else Unavailable)(_said(error)) from error


def _refuses(error: Exception) -> bool:
    """Whether it is about the data: the server says so, or the driver, which knows no public name for it."""
    if isinstance(error, asyncpg.InterfaceError):
        return isinstance(error, ValueError)
    return isinstance(error, (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError))


def _said(error: Exception) -> str:
    """What a log may hold of it: a refusal repeats the values, which may be addresses."""
    kind = type(error).__name__
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return f"{kind}: {error.constraint_name or error.column_name}"
    if _refuses(error):
        return kind
    return f"{kind}: {getattr(error, 'message', None) or error}"
