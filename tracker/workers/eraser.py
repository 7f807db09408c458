"""Erases what customers deleted, beside all else that goes on."""

import asyncio
import contextlib
import logging
import time
from typing import Self

from ..storage.database import reason, unforeseen
from ..storage.erasures import Deletion, Erasures

log = logging.getLogger(__name__)


class Eraser:
    """Erases deleted campaigns in turn, a slice of each, so that a small one does not wait for a large one.

    ``turns`` is held while numbers are given. After each slice it rests for as long as that took: the projector and the
    API write to the same file.
    """

    def __init__(
        self,
        erasures: Erasures,
        turns: asyncio.Lock,
        *,
        slice_rows: int = 500,
        interval_s: float = 0.5,
        longest_pause_s: float = 30.0,
    ) -> None:
        self._erasures = erasures
        self._turns = turns
        self._slice_rows = slice_rows
        self._interval_s = interval_s
        self._longest_pause_s = longest_pause_s
        self._last: Deletion | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="eraser")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def turn(self) -> bool:
        """Whether there was something to do for the next campaign: a slice of its events, or after the last its end."""
        deletion = self._last = await self._erasures.next(self._last)
        if deletion is None:
            return False
        async with self._turns:
            erased = await self._erasures.erase(deletion, limit=self._slice_rows)
        return erased > 0 or await self._erasures.end(deletion)

    async def _run(self) -> None:
        pause_s = self._interval_s
        while True:
            try:
                began = time.monotonic()
                busy = await self.turn()
                pause_s = time.monotonic() - began if busy else self._interval_s
            except Exception as error:
                pause_s = min(max(2 * pause_s, self._interval_s), self._longest_pause_s)
                log.warning("erasing pauses for %.2f s: %s", pause_s, reason(error), exc_info=unforeseen(error))
            await asyncio.sleep(pause_s)
