"""Holds a database file as another program may."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process, this one, has begun to write to the file and does not end."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as other:
        other.execute("begin immediate")
        yield
        other.execute("rollback")
