"""Prepares copies of an installation, and dies in each one statement later than in the one before.

Usage: ``python interrupted.py INSTALLATION COPIES [piecemeal]``. The folder COPIES gets an installation for each
statement, as ``kill -9`` left it before that statement. With ``piecemeal`` each statement of a migration is a
transaction of its own: whoever looks for broken migrations must find these.
"""

import asyncio
import itertools
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

from tracker.storage import migrations
from tracker.storage.database import Change, Database
from tracker.storage.installation import Files, prepare
from tracker.storage.migrations import Migration
from tracker.storage.sqlite import SQLite


def die_at(place: int) -> None:
    """Let this process end before its writers begin their statement of this number."""
    numbers, open_writer = itertools.count(), SQLite._open_writer

    def count(_: str) -> None:
        if next(numbers) == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def opened(self: SQLite) -> sqlite3.Connection:
        connection = open_writer(self)
        connection.set_trace_callback(count)
        return connection

    SQLite._open_writer = opened  # type: ignore[method-assign]


def piecemeal() -> None:
    """Say first that a migration is done, and then do it bit by bit."""
    apply = migrations._apply

    async def apply_piecemeal(database: Database, part: str, migration: Migration) -> bool:
        done = await apply(database, part, migration._replace(statements=()))
        for statement in migration.statements:
            await database.write(Change(statement))
        return done

    migrations._apply = apply_piecemeal


def outlived(folder: Path, place: int) -> bool:
    """Whether a process of its own has prepared the installation before it came to its death."""
    child = os.fork()
    if child == 0:
        die_at(place)
        asyncio.run(prepare(Files(folder / "tracker.db"), None))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == 0


def main(installation: Path, copies: Path) -> None:
    """Until one outlives all."""
    for place in itertools.count():
        folder = copies / f"{place:04}"
        shutil.copytree(installation, folder)
        if outlived(folder, place):
            shutil.rmtree(folder)
            return


if __name__ == "__main__":
    if "piecemeal" in sys.argv[3:]:
        piecemeal()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
