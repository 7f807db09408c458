"""Feels once a second whether the main database can be read and written, and how far the projector is."""

import asyncio
import contextlib
import logging
import time
from typing import NamedTuple, Self

from ..storage.database import reason, unforeseen
from ..storage.journal import Journal
from ..storage.projections import Projected, Projections

log = logging.getLogger(__name__)


class Look(NamedTuple):
    """What was read: how far the projector is, when the first entry above its mark occurred (Unix milliseconds,
    None when there is none), and when that was so (Unix seconds)."""

    projected: Projected
    oldest: int | None
    at: float


class Pulse:
    """Beside the backlog in the serving process. A look reads, and takes the lock of writers for a moment: a file that
    another program holds can be read, but no message can be made and no event stored."""

    def __init__(self, journal: Journal, projections: Projections, *, interval_s: float = 1.0) -> None:
        self._journal = journal
        self._projections = projections
        self._interval_s = interval_s
        self._failing_since: int | None = None
        self.look: Look | None = None
        """The last look; None while nothing can be read."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="pulse")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def main_down_since(self) -> int | None:
        """Since when the main database cannot be read or written, in Unix milliseconds; None when it can."""
        return self._failing_since

    @property
    def down_since(self) -> int | None:
        """Since when the main database is down, or the journal broken by whoever wrote to it."""
        return earliest(self._failing_since, self._journal.broken_since)

    @property
    def lag_s(self) -> float | None:
        """The age of the oldest entry that was not projected at the last look; None while that is unknown."""
        if self.look is None:
            return None
        return 0.0 if self.look.oldest is None else max(0.0, round(time.time() - self.look.oldest / 1000, 3))

    async def turn(self) -> None:
        """Take a look; what goes wrong is logged once, until a look goes well."""
        began = time.time_ns() // 1_000_000
        try:
            await self._take()
        except Exception as error:
            if self._failing_since is None:
                self._failing_since = began
                log.error("the main database cannot be used: %s", reason(error), exc_info=unforeseen(error))
        else:
            if self._failing_since is not None:
                log.warning("the main database can be used again")
            self._failing_since = None

    async def _take(self) -> None:
        try:
            projected = await self._projections.projected()
            oldest = await self._journal.oldest(after=projected.mark)
        except Exception:
            self.look = None
            raise
        self.look = Look(projected, oldest, time.time())
        await self._projections.try_writing()

    async def _run(self) -> None:
        while True:
            await self.turn()
            await asyncio.sleep(self._interval_s)


def earliest(*moments: int | None) -> int | None:
    """The first of those moments that there are."""
    return min((moment for moment in moments if moment is not None), default=None)
