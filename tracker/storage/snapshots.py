"""Both files of an installation as they were at one moment, beside whoever writes to them."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from .database import BadDatabase, Unavailable
from .installation import Files, refuse_unusable, strange_inbox
from .migrations import refuse_newer
from .statements import load_statements

_MIGRATIONS = load_statements("migrations")
_JOURNAL = load_statements("journal")
_PROJECTIONS = load_statements("projections")
_ACCOUNTS = load_statements("accounts")

_TRIES = 100
_STEP_PAGES = 256
"""A megabyte: after each step somebody is told, and a signal is heard."""

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done."""


class Facts(NamedTuple):
    """What the two files say of themselves: schema versions by part, fingerprints of signing keys by number."""

    installation: bytes
    schema: dict[str, int]
    fingerprints: dict[int, bytes]


class Snapshot:
    """Both files, held as they are while others write on. A file is let go of once it has been copied."""

    def __init__(self, connections: Mapping[str, sqlite3.Connection], facts: Facts) -> None:
        self._connections = connections
        self.facts = facts

    def copy(self, part: str, to: Path, progress: Progress) -> None:
        """Write a part, ``main`` or ``inbox``, to a new file. Raises ``Unavailable`` when it cannot be written."""
        source = self._connections[part]
        page_bytes = source.execute("pragma page_size").fetchone()[0]

        def step(_: int, remaining: int, total: int) -> None:
            progress((total - remaining) * page_bytes, total * page_bytes)

        try:
            with closing(sqlite3.connect(to, isolation_level=None)) as copy:
                # Nobody reads it before it is whole, and whoever wants it durable sees to that.
                copy.execute("pragma synchronous = off")
                copy.execute("pragma journal_mode = off")
                source.backup(copy, pages=_STEP_PAGES, progress=step)
        except sqlite3.Error as error:
            raise Unavailable(f"cannot copy the database to {to}: {error}") from error
        source.execute("rollback")


@contextmanager
def snapshot(files: Files) -> Iterator[Snapshot]:
    """Both files as of one moment: what the main file holds of the journal, this inbox has seen.

    Writers never wait for it; what they write stays in the logs of the files until a file is let go of.
    Raises ``BadDatabase`` for an installation that cannot be read.
    """
    refuse_unusable(files)
    if not files.inbox.exists():
        raise BadDatabase(strange_inbox(files, "is missing"))
    with _reading(files.main, "mode=rw") as main, _reading(files.inbox, "mode=rw") as inbox:
        connections = {"main": main, "inbox": inbox}
        strange = strange_inbox(files, "belongs to another installation")
        for part, version in _facts(connections, strange).schema.items():
            refuse_newer(part, version)
        for _ in range(_TRIES):
            if _begun_as_one(main, inbox):
                yield Snapshot(connections, _facts(connections, strange))
                return
    raise Unavailable(f"{files.main} changes too quickly to be read: try again")


def examine(files: Files) -> Facts:
    """What two files that nobody writes to say of themselves, after a check of every page.

    Raises ``BadDatabase`` when one is damaged, or they do not belong together.
    """
    with _reading(files.main, "immutable=1") as main, _reading(files.inbox, "immutable=1") as inbox:
        for path, connection in ((files.main, main), (files.inbox, inbox)):
            verdict = connection.execute("pragma integrity_check(1)").fetchone()[0]
            if verdict != "ok":
                raise BadDatabase(f"{path.name} is damaged: {' '.join(verdict.split())}")
        return _facts({"main": main, "inbox": inbox}, f"{files.inbox.name} belongs to another installation")


def in_use(path: Path) -> bool:
    """Whether some process has this database open. What its log holds is moved into the file when none has."""
    try:
        with closing(_connected(path, "mode=rw", patience_s=0.1)) as connection:
            # In this mode SQLite asks for the whole file, which it gets only if nobody else has it open.
            connection.execute("pragma locking_mode = exclusive")
            connection.execute("begin immediate")
            connection.execute("rollback")
    except sqlite3.Error as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return False


def _begun_as_one(main: sqlite3.Connection, inbox: sqlite3.Connection) -> bool:
    """Whether nothing that came into the inbox after its moment was projected before the main file's."""
    before = _number(main, _PROJECTIONS["mark"])
    inbox.execute("begin")
    last = _number(inbox, _JOURNAL["last_key"])  # the first read holds the file as it is
    main.execute("begin")
    mark = _number(main, _PROJECTIONS["mark"])
    if mark == before or mark <= last:
        return True
    inbox.execute("rollback")
    main.execute("rollback")
    return False


def _facts(connections: Mapping[str, sqlite3.Connection], strange: str) -> Facts:
    ids, schema = {}, {}
    for part, connection in connections.items():
        found = connection.execute(_MIGRATIONS["installation"], {"part": part}).fetchone()
        ids[part] = found[0] if found else None
        schema[part] = _number(connection, _MIGRATIONS["current_version"], part=part)
    if ids["main"] is None or ids["inbox"] != ids["main"]:
        raise BadDatabase(strange)
    return Facts(ids["main"], schema, dict(connections["main"].execute(_ACCOUNTS["fingerprints"]).fetchall()))


def _number(connection: sqlite3.Connection, sql: str, **params: object) -> int:
    return int(connection.execute(sql, params).fetchone()[0])


@contextmanager
def _reading(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(_connected(path, how, patience_s=10.0)) as connection:
            connection.execute("pragma query_only = on")
            yield connection
    except sqlite3.Error as error:
        raise BadDatabase(f"cannot read the database {path}: {error}") from error


def _connected(path: Path, how: str, *, patience_s: float) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, isolation_level=None, timeout=patience_s)
