"""Holds a database file as another program may."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def locked(file: Path, *, patience_s: float = 30) -> Iterator[None]:
    """Another process, this one, has begun to write to the file and does not end.

    Raises ``sqlite3.OperationalError`` when nobody lets it write for so long.
    """
    with closing(sqlite3.connect(file, isolation_level=None, timeout=patience_s)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")
