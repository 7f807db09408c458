"""Moves an installation from files to a server's database, or back: every row, compared at the end."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

import msgspec

from .accounts import Accounts
from .database import BadDatabase, Change, Database, Row
from .installation import Files
from .journal import Journal
from .shared import Place, SharedDatabase
from .sqlite import SQLite
from .statements import load_statements

_SQL = load_statements("copies", "overlay")
_MIGRATIONS = load_statements("migrations")

Telling = Callable[[str, int, int | None], None]
"""Told what is being done, how many rows of it are done, and of how many."""

_SLICE_ROWS = 1_000

_OF_EACH_DATABASE = {"schema_versions", "installations", "heartbeat"}
"""Tables that say what a database is, and are no part of what it holds."""

_MADE_WITH_IT = {"directory", "projection", "signing_keys"}
"""Tables of a few rows that a new database has already."""


class BadCopy(BadDatabase):
    """An installation cannot be copied there, or what came out is not the same; the message says what to do."""


class Copied(NamedTuple):
    """The number of rows by table, and what identifies all of them: both were found the same at both ends."""

    rows: Mapping[str, int]
    checksum: str


class _Table(NamedTuple):
    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]


class _Side(NamedTuple):
    """One end. A table of both parts, ``receipts``, stands in both files and once in a server's database."""

    place: Place
    main: Database
    inbox: Database
    parts: Mapping[str, Sequence[str]]

    def of(self, table: _Table) -> Sequence[Database]:
        """Where the table stands."""
        if self.main.whole:
            return (self.main,)
        return tuple(self.main if part == "main" else self.inbox for part in self.parts[table.name])


async def copy(source: Place, target: Place, tell: Telling) -> Copied:
    """Copy everything; what an interrupted copy has copied is not copied again. Raises ``BadCopy``.

    Both are of this release, and nobody serves either: of files the caller holds the locks.
    """
    async with AsyncExitStack() as stack:
        there, here = await _opened(stack, source), await _opened(stack, target)
        tables, parts = await _tables(there.main if isinstance(source, Files) else here.main)
        there, here = there._replace(parts=parts), here._replace(parts=parts)
        await _refuse_served(there, here)
        await _begin(there, here)
        for table in tables:
            await _copy_table(there, here, table, tell)
        copied = await _compared(there, here, tables, tell)
        await _end(there, here)
        return copied


async def _opened(stack: AsyncExitStack, place: Place) -> _Side:
    main: Database = await stack.enter_async_context(place.main_database())
    inbox: Database = await stack.enter_async_context(place.inbox_database())
    return _Side(place, main, inbox, {})


async def half_copied(place: Place) -> bool:
    """Whether a copy to this place was begun and not finished."""
    if isinstance(place, Files) and not place.main.exists():
        return False
    if isinstance(place, Files):
        async with SQLite(place.main) as main:
            return bool(await main.fetch(_SQL["copying"]))
    async with place.main_database(checked=False) as shared:
        return await place.inhabited(shared) and bool(await shared.fetch(_SQL["copying"]))


async def _tables(files: Database) -> tuple[list[_Table], Mapping[str, Sequence[str]]]:
    """All tables, as files have them, and the parts each is in."""
    columns: dict[str, list[Row]] = {}
    parts: dict[str, list[str]] = {}
    for part in ("main", "inbox"):
        for row in await files.fetch(_SQL["columns_of_files"].format(schema=part)):
            if part not in parts.setdefault(row["table"], []):
                parts[row["table"]].append(part)
            if parts[row["table"]][0] == part:
                columns.setdefault(row["table"], []).append(row)
    return [_table(name, rows) for name, rows in columns.items() if name not in _OF_EACH_DATABASE], parts


def _table(name: str, columns: Sequence[Row]) -> _Table:
    keys = sorted((row["place"], row["column"]) for row in columns if row["place"])
    return _Table(name, tuple(row["column"] for row in columns), tuple(key for _, key in keys))


async def _refuse_served(*sides: _Side) -> None:
    for side in sides:
        if isinstance(side.place, SharedDatabase) and (await side.main.fetch(_SQL["others"]))[0]["sessions"]:
            raise BadCopy(f"{side.place.name} is being used: stop every server and command that works on it first")


async def _begin(there: _Side, here: _Side) -> None:
    """Write down whose copy this becomes, in the same transaction in which the first row goes or comes."""
    source = (await there.main.fetch(_MIGRATIONS["installation"], part="main"))[0]["id"]
    begun = await here.main.fetch(_SQL["copying"])
    if begun and begun[0]["id"] == source:
        return
    if begun or await Accounts(here.main).any():
        raise BadCopy(f"{here.place.name} is not empty: copy to a new database, or empty this one first")
    if not there.main.whole:
        # What is projected and not yet trimmed would be projected again.
        await Journal(there.inbox).trim(upto=(await there.main.fetch(_SQL["mark"]))[0]["mark"])
    clearing = (Change(_SQL["clear"].format(table=table)) for table in sorted(_MADE_WITH_IT))
    await here.main.write(Change(_SQL["mark_copying"], [{"id": source}]), *clearing)


async def _copy_table(there: _Side, here: _Side, table: _Table, tell: Telling) -> None:
    total = sum([await _count(database, table) for database in there.of(table)])
    done = await _count(here.of(table)[0], table)
    apart = len(there.of(table)) + len(here.of(table)) > 2
    for source in there.of(table):
        for target in here.of(table):
            last = None if apart else await _last(target, table)
            async for rows in _pages(source, table, last):
                await target.write(Change(_insert(table, apart), [tuple(row.values()) for row in rows]))
                done += len(rows)
                tell(f"copying {table.name}", min(done, total), total)


def _insert(table: _Table, apart: bool) -> str:
    values = ", ".join(f":{column}" for column in table.columns)
    sql = _SQL["insert"].format(table=table.name, columns=", ".join(table.columns), values=values)
    return f"{sql} {_SQL['unless_there']}" if apart else sql


async def _pages(database: Database, table: _Table, last: Row | None) -> AsyncIterator[list[Row]]:
    """The rows beyond that one in the order of the primary key, which both databases keep byte by byte."""
    words = {"columns": ", ".join(table.columns), "table": table.name, "keys": ", ".join(table.keys)}
    beyond = _SQL["beyond"].format(keys=words["keys"], values=", ".join(f":{key}" for key in table.keys))
    while True:
        sql = _SQL["page"].format(**words, beyond=beyond if last is not None else "")
        place = {key: last[key] for key in table.keys} if last is not None else {}
        rows = await database.fetch(sql, **place, limit=_SLICE_ROWS)
        if not rows:
            return
        yield rows
        last = rows[-1]


async def _last(database: Database, table: _Table) -> Row | None:
    words = {"keys": ", ".join(table.keys), "descending": ", ".join(f"{key} desc" for key in table.keys)}
    rows = await database.fetch(_SQL["last"].format(table=table.name, **words))
    return rows[0] if rows else None


async def _count(database: Database, table: _Table) -> int:
    return int((await database.fetch(_SQL["count"].format(table=table.name)))[0]["rows"])


async def _compared(there: _Side, here: _Side, tables: Sequence[_Table], tell: Telling) -> Copied:
    counts, whole = {}, hashlib.blake2b(digest_size=16)
    for number, table in enumerate(tables, 1):
        tell("comparing", number, len(tables))
        source, target = await _identity(there.of(table), table), await _identity(here.of(table), table)
        if source != target:
            raise BadCopy(
                f"{table.name} has {target[0]:,} rows in {here.place.name} that are not the {source[0]:,} of "
                f"{there.place.name}: something changed one of them meanwhile. Empty the target and copy again"
            )
        counts[table.name] = source[0]
        whole.update(source[1])
    return Copied(counts, whole.hexdigest())


async def _identity(databases: Sequence[Database], table: _Table) -> tuple[int, bytes]:
    """The number of rows and a hash of all of them; of several databases, of what stands in any."""
    encode = msgspec.msgpack.Encoder().encode
    if len(databases) > 1 or table.name == "receipts":
        found = {
            encode(list(row.values())) for one in databases async for rows in _pages(one, table, None) for row in rows
        }
        return len(found), hashlib.blake2b(b"".join(sorted(found))).digest()
    count, hashed = 0, hashlib.blake2b()
    async for rows in _pages(databases[0], table, None):
        count += len(rows)
        for row in rows:
            hashed.update(encode(list(row.values())))
    return count, hashed.digest()


async def _end(there: _Side, here: _Side) -> None:
    """The copy becomes the installation: its id, where its journal goes on, and that it is whole, in this order."""
    source = (await there.main.fetch(_MIGRATIONS["installation"], part="main"))[0]["id"]
    if not here.main.whole:
        await here.inbox.write(Change(_SQL["set_installation"], [{"part": "inbox", "id": source}]))
    key = await _highest_key(there)
    if here.main.whole:
        await here.main.change(_SQL["give_keys_above"], key=key + 1)
    await here.main.write(
        Change(_SQL["set_mark"], [{"mark": await _mark(there, here, key)}]),
        Change(_SQL["set_installation"], [{"part": "main", "id": source}]),
        Change(_SQL["forget_copying"]),
    )


async def _highest_key(side: _Side) -> int:
    """The last key that the journal has given."""
    if side.main.whole:
        return int((await side.main.fetch(_SQL["given_keys"]))[0]["id"])
    mark = (await side.main.fetch(_SQL["mark"]))[0]["mark"]
    return max(int(mark), int((await side.inbox.fetch(_SQL["highest_key"]))[0]["id"]))


async def _mark(there: _Side, here: _Side, key: int) -> int:
    """Below every row that is not projected; of a server's database there is none."""
    if here.main.whole:
        return 0
    lowest = int((await there.inbox.fetch(_SQL["lowest_key"]))[0]["id"])
    return lowest - 1 if lowest else key
