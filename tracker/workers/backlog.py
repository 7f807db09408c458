"""Knows how far the projector is behind the journal, and trims what it has passed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Self

from ..storage.database import reason, unforeseen
from ..storage.journal import Journal
from ..storage.projections import Projections

log = logging.getLogger(__name__)

DEFAULT_CEILING = 5_000_000
"""Journal rows not yet projected, above which hits are turned away."""


class Backlog:
    """Beside the writer in the serving process. ``hold`` is told whether the journal has reached its ceiling."""

    def __init__(
        self,
        journal: Journal,
        projections: Projections,
        hold: Callable[[bool], None],
        *,
        ceiling: int = DEFAULT_CEILING,
        interval_s: float = 1.0,
    ) -> None:
        self._journal = journal
        self._projections = projections
        self._hold = hold
        self._ceiling = ceiling
        self._interval_s = interval_s

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="backlog")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def ceiling(self) -> int:
        """Above so many rows not yet projected hits are turned away."""
        return self._ceiling

    async def turn(self) -> None:
        """Trim what is projected, and judge the ceiling."""
        mark = await self._projections.mark()
        self._hold(await self._is_full(mark))
        await self._journal.trim(upto=mark)

    async def _is_full(self, mark: int) -> bool:
        """A key may stand for no row: only where there is one can the projector bring the mark forward."""
        limit = await self._journal.reached() - self._ceiling
        return limit > mark and await self._journal.holds(after=mark, upto=limit)

    async def caught_up(self, *, patience_s: float = 1.0, poll_s: float = 0.02) -> float | None:
        """Wait until all that was acknowledged before this call can be seen.

        None when it can; after ``patience_s``, by how many seconds the projector is behind.
        """
        deadline = time.monotonic() + patience_s
        head = await self._journal.reached()
        while await self._is_behind(head):
            if time.monotonic() >= deadline:
                return await self.lag_s()
            await asyncio.sleep(poll_s)
        return None

    async def lag_s(self) -> float:
        """The age of the oldest entry not yet projected, in seconds; 0 when there is none."""
        mark = await self._projections.mark()
        oldest = await self._journal.oldest(after=mark)
        return 0.0 if oldest is None else max(0.0, round(time.time() - oldest / 1000, 3))

    async def _is_behind(self, head: int) -> bool:
        mark = await self._projections.mark()
        # A key below the head may stand for no row: who opts out again takes one and leaves nothing.
        return mark < head and await self._journal.holds(after=mark, upto=head)

    async def _run(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.turn()
                failing = False
            except Exception as error:
                if not failing:
                    log.warning("the journal is not trimmed: %s", reason(error), exc_info=unforeseen(error))
                failing = True
