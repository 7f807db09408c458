"""Turns the journal into what customers see: events, their numbers and counts."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Self

import msgspec

from ..domain.events import JournalRow
from ..storage.database import Row, reason, unforeseen
from ..storage.journal import Journal, journal_row
from ..storage.messages import Context, Messages
from ..storage.projections import CountKey, Projection, Projections, RefusedRow
from .slices import Contexts, project

log = logging.getLogger(__name__)

# What a row can do to us, ``Refused`` among them. Whatever else goes wrong - no memory, no descriptor, no database -
# is not the row's fault: the slice stays in the journal until it passes.
_OF_A_ROW = (ValueError, TypeError, LookupError, ArithmeticError)


class Projector:
    """Works through the journal a slice at a time; whatever happens to it, the rest stays in the journal.

    A slice is a quarter of a second or 4,000 rows, and is stored in one transaction with the mark that says
    how far it reaches: a crash in between changes nothing. ``turns`` is held from reading a slice to storing it, since
    others give sequence numbers too.
    """

    def __init__(
        self,
        journal: Journal,
        messages: Messages,
        projections: Projections,
        *,
        slice_rows: int = 4_000,
        gather_s: float = 0.25,
        longest_pause_s: float = 2.0,
        turns: asyncio.Lock | None = None,
    ) -> None:
        self._journal = journal
        self._messages = messages
        self._projections = projections
        self._slice_rows = slice_rows
        self._gather_s = gather_s
        self._longest_pause_s = longest_pause_s
        self._turns = turns or asyncio.Lock()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="projector")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()
        await self._task

    async def turn(self) -> int:
        """Project one slice, and give the number of its rows."""
        async with self._turns:
            mark = await self._projections.mark()
            rows = await self._journal.read(after=mark, limit=self._slice_rows)
            if rows:
                await self._project(mark, rows)
        return len(rows)

    async def _run(self) -> None:
        pause_s = self._gather_s
        while not self._closing.is_set():
            try:
                full = await self.turn() >= self._slice_rows
                pause_s = 0.0 if full else self._gather_s
            except Exception as error:
                pause_s = min(max(2 * pause_s, self._gather_s), self._longest_pause_s)
                log.warning("the projector pauses for %.2f s: %s", pause_s, reason(error), exc_info=unforeseen(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)

    async def _project(self, mark: int, rows: Sequence[Row]) -> None:
        try:
            await self._store(mark, rows)
        except _OF_A_ROW as error:
            if len(rows) == 1:
                await self._set_aside(mark, rows[0], error)
                return
            middle = len(rows) // 2
            await self._project(mark, rows[:middle])
            await self._project(rows[middle - 1]["id"], rows[middle:])

    async def _store(self, mark: int, raw: Sequence[Row]) -> None:
        rows = [journal_row(row) for row in raw]
        sequences = await self._projections.sequences({row.hit.account for row in rows})
        contexts, counted = await self._look_up(rows)
        projection = project(mark, rows, accounts=sequences, contexts=contexts, counted=counted)
        await self._projections.store(projection, sequences)

    async def _look_up(self, rows: Sequence[JournalRow]) -> tuple[Contexts, set[CountKey]]:
        messages: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for row in rows:
            messages[row.hit.account].add(row.hit.message)
        contexts: dict[tuple[bytes, bytes], Context] = {}
        counted: set[CountKey] = set()
        for account, wanted in messages.items():
            found = await self._messages.contexts(account, list(wanted))
            contexts.update({(account, message): context for message, context in found.items()})
            counted |= await self._projections.counted(account, list(found))
        return contexts, counted

    async def _set_aside(self, mark: int, row: Row, error: Exception) -> None:
        # The error's name alone: its words may repeat what the row holds.
        log.error("journal row %d cannot become an event and is set aside: %s", row["id"], type(error).__name__)
        refused = RefusedRow(
            account_id=row["account_id"],
            journal_key=row["id"],
            message_id=row["message_id"],
            type=row["type"],
            occurred_at=row["occurred_at"],
            hit=msgspec.json.encode(row).decode(),
            error=type(error).__name__,
        )
        await self._projections.store(Projection(old=mark, new=row["id"], keys=[row["id"]], refused=[refused]), {})
