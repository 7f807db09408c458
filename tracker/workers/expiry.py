"""Forgets what is kept for a time only."""

import asyncio
import contextlib
import logging
from typing import Protocol, Self

from ..storage.database import reason
from .clock import DayClock

log = logging.getLogger(__name__)


class Expiring(Protocol):
    """Something that is kept for a time."""

    async def expire(self, *, now: int) -> int:
        """Forget what is too old, and give the number of rows. ``now`` is Unix milliseconds."""
        ...


class Expiry:
    """Removes from one file what has been kept long enough, unless the clock has jumped.

    It works beside whoever writes that file.
    """

    def __init__(self, *kept: Expiring, interval_s: float = 60.0, clock: DayClock | None = None) -> None:
        self._kept = kept
        self._interval_s = interval_s
        self._clock = clock or DayClock()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="expiry")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        failing = False
        while True:
            try:
                if (now := self._clock.believed()) is not None:
                    for kept in self._kept:
                        await kept.expire(now=now)
                failing = False
            except Exception as error:  # noqa: BLE001 - a worker's turn must never end the worker
                if not failing:
                    log.warning("what is too old is not removed: %s", reason(error))
                failing = True
            await asyncio.sleep(self._interval_s)
