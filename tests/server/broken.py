"""Runs Tracker with one promise broken: a test that finds nothing wrong with it proves nothing.

Usage: ``python broken.py WHICH serve --port 0``.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tracker import app
from tracker.cli import listener, main
from tracker.cli.protocol import Protocol
from tracker.domain.events import Entry
from tracker.domain.receipts import Receipt
from tracker.domain.suppressions import Suppression
from tracker.storage import backups, erasures, postgresql, sqlite, suppression_rows
from tracker.storage.database import Change, Database
from tracker.storage.erasures import Deletion, Erasures
from tracker.storage.installation import Files
from tracker.storage.journal import Journal
from tracker.storage.messages import Messages, NewMessage
from tracker.storage.projections import Projection, Projections
from tracker.storage.receipts import kept
from tracker.storage.snapshots import Progress, Snapshot, snapshot
from tracker.storage.sqlite import SQLite
from tracker.storage.suppression_changes import shown
from tracker.storage.suppressions import Standing, Suppressions
from tracker.web.suppression_exports import SuppressionExportsApi
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


def erases_step_by_step() -> None:
    """What belongs to the erasing of a slice is done one after the other, each in a transaction of its own."""

    async def write_apart(database: Database, *changes: Change) -> None:
        for change in changes:
            await database.write(change)
            await asyncio.sleep(_LATER_S)

    async def erase(self: Erasures, deletion: Deletion, *, limit: int) -> int:
        events = await self._database.fetch(erasures._SQL["events_left"], **erasures._named(deletion), limit=limit)
        await write_apart(self._database, *(await self._changes(deletion.account, events) if events else ()))
        return len(events)

    Erasures.erase = erase  # type: ignore[method-assign]


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


def exports_in_one_read() -> None:
    """An export is one statement, which is read on as fast as the client is."""

    async def pieces(
        self: SuppressionExportsApi, account: bytes, _which: object, _first: object, chosen: Any
    ) -> AsyncIterator[bytes]:
        yield chosen.head
        sql = f"{suppression_rows._SQL['select_suppressions']} order by p.id desc"
        database: Any = self._rows._database
        async with database._reader() as reader, reader.execute(sql, {"account_id": account}) as cursor:
            while rows := await cursor.fetchmany(500):
                yield chosen.write([msgspec.convert(shown(dict(row)), Suppression) for row in rows])

    SuppressionExportsApi._pieces = pieces  # type: ignore[method-assign, assignment]


def exports_from_memory() -> None:
    """All rows of an export are read before the first of them is sent."""

    async def pieces(
        self: SuppressionExportsApi, account: bytes, which: Any, _first: object, chosen: Any
    ) -> AsyncIterator[bytes]:
        rows = await self._rows.page(account, which, limit=1 << 30, beyond=None)
        for start in range(0, len(rows), 500):
            yield chosen.write(rows[start : start + 500])

    SuppressionExportsApi._pieces = pieces  # type: ignore[method-assign, assignment]


def waits_for_slow_readers() -> None:
    """An answer may take as long to be read as its reader likes."""

    def look(self: Protocol, answer_due: float) -> None:
        self.due = answer_due + 60

    Protocol._look_at_answer = look  # type: ignore[method-assign]


def leaves_sending_to_the_system() -> None:
    """The system keeps of an answer as much as it likes."""
    listener._MOST_UNSENT = 1 << 30


def waits_by_the_time_of_day() -> None:
    """Whoever waits looks at a clock that somebody may set."""
    time.monotonic = time.time


def writes_in_spans() -> None:
    """A transaction is begun, worked on and ended by the request, which ends when its client hangs up."""
    turns: dict[SQLite, asyncio.Lock] = {}

    async def transact(self: SQLite, work: Callable[[], Any]) -> Any:
        async with turns.setdefault(self, asyncio.Lock()):
            await self._in_turn(lambda: self._writer.execute("begin immediate"))
            await asyncio.sleep(0.01)
            result = await self._in_turn(work)
            await self._in_turn(lambda: self._writer.execute("commit"))
        return result

    tasks: dict[RequestResponseCycle, asyncio.Task[Any] | None] = {}
    run, lost = RequestResponseCycle.run_asgi, Protocol.connection_lost

    async def run_asgi(self: RequestResponseCycle, application: Any) -> None:
        tasks[self] = asyncio.current_task()
        try:
            await run(self, application)
        finally:
            del tasks[self]

    def connection_lost(self: Protocol, exc: Exception | None) -> None:
        lost(self, exc)
        task = tasks.get(self.cycle)
        if task is not None:
            task.cancel()

    SQLite._transact = transact  # type: ignore[method-assign]
    RequestResponseCycle.run_asgi = run_asgi  # type: ignore[method-assign, assignment]
    Protocol.connection_lost = connection_lost  # type: ignore[method-assign]


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
    "exports-from-memory": exports_from_memory,
    "exports-in-one-read": exports_in_one_read,
    "leaves-sending-to-the-system": leaves_sending_to_the_system,
    "waits-for-slow-readers": waits_for_slow_readers,
    "erases-step-by-step": erases_step_by_step,
    "copies-files": copies_files,
    "copies-main-first": copies_main_first,
    "copies-main-later": copies_main_later,
    "leaves-its-keys-unsynced": leaves_its_keys_unsynced,
    "moves-its-mark-later": moves_its_mark_later,
    "remembers-checks": remembers_checks,
    "takes-before-it-stores": takes_before_it_stores,
    "waits-by-the-time-of-day": waits_by_the_time_of_day,
    "writes-in-place": writes_in_place,
    "writes-in-spans": writes_in_spans,
}

if __name__ == "__main__":
    which = sys.argv[1]
    app._WORKER = (sys.executable, __file__, which, "worker")
    PROMISES[which]()
    main(sys.argv[2:])
