"""The journal as a table that several servers append to."""

import secrets
import time
from collections.abc import Sequence

from ..domain.events import Entry
from .database import Change, Database, Unavailable
from .journal import Journal
from .statements import load_statements

_SHARED = load_statements("shared_journal", "overlay")
_JOURNAL = load_statements("journal")

_ONE_AT_A_TIME = Change(_SHARED["one_at_a_time"])
_WRITERS_KEPT_MS = 30 * 86_400_000
_MOST_REMEMBERED = 20_000
"""Entries that were stored though nobody was told: the ones that come again are among them."""


class SharedJournal(Journal):
    """Keys come from the database, and rows go when they are projected.

    An answer can be lost while its batch is stored. So each batch carries the next number of its writer, and after a
    lost answer the database is asked for the last one before anything else is appended: an entry that was stored is
    not stored again.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._writer = secrets.token_hex(8)
        self._batch = 0
        self._unanswered: Sequence[Entry] | None = None
        self._stored: dict[int, Entry] = {}

    async def open(self, *, above: int) -> None:
        """Nothing has to be read first: the database may be away."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """As in a file; and entries that come again after their answer was lost are stored once."""
        if self._unanswered is not None:
            await self._learn(self._unanswered)
        fresh = [entry for entry in entries if self._stored.pop(id(entry), None) is None]
        if not fresh:
            return
        self._batch = max(self._batch + 2, _now())
        try:
            await super().append(fresh)
        except Unavailable:
            self._unanswered = fresh
            raise

    async def write(self, *changes: Change) -> None:
        """As in a file, where there is but one writer."""
        await super().write(_ONE_AT_A_TIME, *changes)

    async def forget_writers(self) -> None:
        """Remove the numbers of processes that ended long ago."""
        await self._database.change(_SHARED["forget_writers"], before=_now() - 2 * _WRITERS_KEPT_MS)

    async def _store(self, hits: list[tuple[object, ...]], changes: Sequence[Change]) -> None:
        if hits and not changes:
            rows = [(*hit[1:], self._writer, self._batch) for hit in hits]
            await self._database.write(Change(_SHARED["insert_hits"], rows))
            return
        begun = Change(_SHARED["begin_batch"], [{"writer": self._writer, "batch": self._batch}], affects=1)
        inserted = [Change(_JOURNAL["insert_hit"], hits)] if hits else []
        await self._database.write(_ONE_AT_A_TIME, begun, *inserted, *changes)

    async def _learn(self, unanswered: Sequence[Entry]) -> None:
        number = {"batch": self._batch, "claim": self._batch + 1}
        rows = await self._database.change(_SHARED["claim_batch"], writer=self._writer, **number)
        if rows[0]["at"] == self._batch:
            self._stored.update((id(entry), entry) for entry in unanswered)
            while len(self._stored) > _MOST_REMEMBERED:
                del self._stored[next(iter(self._stored))]
        self._unanswered = None


def _now() -> int:
    """The number of a batch that begins now: even, and twice the Unix milliseconds. The odd one after it claims it."""
    return 2 * (time.time_ns() // 1_000_000)


def journal_of(database: Database) -> Journal:
    """The journal in this database."""
    return SharedJournal(database) if database.whole else Journal(database)
