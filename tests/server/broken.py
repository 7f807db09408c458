"""Runs Tracker with one promise broken: a test that finds nothing wrong with it proves nothing.

Usage: ``python broken.py WHICH serve --port 0``.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tracker import app
from tracker.cli import main
from tracker.domain.events import Entry
from tracker.domain.receipts import Receipt
from tracker.storage import backups, postgresql, sqlite
from tracker.storage.installation import Files
from tracker.storage.journal import Journal
from tracker.storage.messages import Messages, NewMessage
from tracker.storage.projections import Projection, Projections
from tracker.storage.receipts import kept
from tracker.storage.snapshots import Progress, Snapshot, snapshot
from tracker.storage.suppressions import Standing, Suppressions
from tracker.workers.writer import EventWriter

_LATER_S = 1.0


def answers_before_the_commit() -> None:
    """Events are acknowledged at once, and written a second later."""
    write = EventWriter._enqueue

    def enqueue(self: EventWriter, entry: Entry, *, patient: bool) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        loop.call_later(_LATER_S, lambda: write(self, entry, patient=True))
        done: asyncio.Future[None] = loop.create_future()
        done.set_result(None)
        return done

    EventWriter._enqueue = enqueue  # type: ignore[method-assign]


def remembers_checks() -> None:
    """What a check found is given again for a second."""
    ask = Suppressions.matching
    answers: dict[tuple[Any, ...], tuple[float, dict[bytes, Standing]]] = {}

    async def matching(
        self: Suppressions, account: bytes, keys: Sequence[bytes], topic: str | None
    ) -> dict[bytes, Standing]:
        question = (account, tuple(keys), topic)
        at, answer = answers.get(question, (-_LATER_S, {}))
        if time.monotonic() - at >= _LATER_S:
            answer = await ask(self, account, keys, topic)
            answers[question] = (time.monotonic(), answer)
        return answer

    Suppressions.matching = matching  # type: ignore[method-assign]


def moves_its_mark_later() -> None:
    """Events are stored first, and how far the journal is projected in a transaction after that."""
    store = Projections.store

    async def store_apart(self: Projections, projection: Projection, sequences: dict[bytes, int]) -> None:
        await store(self, msgspec.structs.replace(projection, new=projection.old, dropped=0), sequences)
        await asyncio.sleep(_LATER_S)
        await store(self, Projection(old=projection.old, new=projection.new, dropped=projection.dropped), {})

    Projections.store = store_apart  # type: ignore[method-assign]


def keeps_receipts_apart() -> None:
    """A message is stored first, and the receipt of its call in a transaction after that."""
    add = Messages.add

    async def add_apart(
        self: Messages, *made: NewMessage, most_a_day: int | None = None, receipt: Receipt | None = None
    ) -> dict[bytes, bytes]:
        recipients = await add(self, *made, most_a_day=most_a_day)
        await asyncio.sleep(_LATER_S)
        await self._database.write(*kept(receipt))
        return recipients

    Messages.add = add_apart  # type: ignore[method-assign]


def copies_main_first() -> None:
    """A backup holds the main file as it was some time before the inbox."""
    backups.snapshot = partial(_one_after_the_other, "main")  # type: ignore[attr-defined]


def copies_main_later() -> None:
    """A backup holds the main file as it is some time after the inbox."""
    backups.snapshot = partial(_one_after_the_other, "inbox")  # type: ignore[attr-defined]


@contextmanager
def _one_after_the_other(first: str, files: Files) -> Iterator[Snapshot]:
    early = files.main.with_name(f"early.{first}")
    with snapshot(files) as held:
        held.copy(first, early, lambda *_: None)
    # So long that the worker projects and the server trims.
    time.sleep(3 * _LATER_S)
    with snapshot(files) as held:
        copy = held.copy

        def moved(part: str, to: Path, progress: Progress) -> None:
            if part == first:
                early.rename(to)
            else:
                copy(part, to, progress)

        held.copy = moved  # type: ignore[method-assign]
        yield held


def copies_files() -> None:
    """A backup holds the files as ``cp`` finds them, without what is in their logs."""

    def copy(self: Snapshot, part: str, to: Path, progress: Progress) -> None:
        shutil.copyfile(self._connections[part].execute("pragma database_list").fetchone()[2], to)

    Snapshot.copy = copy  # type: ignore[method-assign]


def commits_without_a_sync() -> None:
    """A commit is in the system's memory when it is acknowledged, and on the disk some time later."""
    sqlite._DURABLE["synchronous"] = 1


def writes_in_place() -> None:
    """Pages of the file are overwritten, and what they held is kept in memory only."""
    sqlite._DURABLE["journal_mode"] = "memory"


def leaves_its_keys_unsynced() -> None:
    """The file of the signing keys is made, and not synced."""

    def nothing(fd: object) -> None:
        pass

    os.fsync = nothing


def forgives_failed_writes() -> None:
    """What could not be written is acknowledged all the same."""
    write = Journal.append

    async def append(self: Journal, entries: Sequence[Entry]) -> None:
        with contextlib.suppress(OSError):
            await write(self, entries)

    Journal.append = append  # type: ignore[method-assign]


def waits_by_the_time_of_day() -> None:
    """Whoever waits looks at a clock that somebody may set."""
    time.monotonic = time.time


def commits_asynchronously() -> None:
    """A commit is in PostgreSQL's memory when it is acknowledged, and on its disk some time later."""
    own = dict(postgresql._OWN)
    own["set_up"] += ", set_config('synchronous_commit', 'off', false)"
    postgresql._OWN = own


def takes_before_it_stores() -> None:
    """Rows are taken from the journal first, and what follows from them is stored in a transaction after that."""
    store = Projections.store

    async def store_apart(self: Projections, projection: Projection, sequences: dict[bytes, int]) -> None:
        await self._database.write(*self._taking(projection.keys))
        await asyncio.sleep(_LATER_S)
        await store(self, msgspec.structs.replace(projection, keys=()), sequences)

    Projections.store = store_apart  # type: ignore[method-assign]


PROMISES = {
    "answers-before-the-commit": answers_before_the_commit,
    "commits-asynchronously": commits_asynchronously,
    "commits-without-a-sync": commits_without_a_sync,
    "forgives-failed-writes": forgives_failed_writes,
    "keeps-receipts-apart": keeps_receipts_apart,
    "copies-files": copies_files,
    "copies-main-first": copies_main_first,
    "copies-main-later": copies_main_later,
    "leaves-its-keys-unsynced": leaves_its_keys_unsynced,
    "moves-its-mark-later": moves_its_mark_later,
    "remembers-checks": remembers_checks,
    "takes-before-it-stores": takes_before_it_stores,
    "waits-by-the-time-of-day": waits_by_the_time_of_day,
    "writes-in-place": writes_in_place,
}

if __name__ == "__main__":
    which = sys.argv[1]
    app._WORKER = (sys.executable, __file__, which, "worker")
    PROMISES[which]()
    main(sys.argv[2:])
