"""Forgets what is kept for a time only."""

import asyncio
import contextlib
import logging
from typing import Self

from ..storage.receipts import Receipts
from .clock import DayClock

log = logging.getLogger(__name__)


class Expiry:
    """Removes the receipts of one file once they hold no more, unless the clock has jumped.

    It works beside whoever writes that file.
    """

    def __init__(self, receipts: Receipts, *, interval_s: float = 60.0, clock: DayClock | None = None) -> None:
        self._receipts = receipts
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
                now = self._clock.believed()
                if now is not None:
                    await self._receipts.expire(now=now)
                failing = False
            except Exception as error:  # noqa: BLE001 - a worker's turn must never end the worker
                if not failing:
                    log.warning("old receipts are not removed: %s: %s", type(error).__name__, error)
                failing = True
            await asyncio.sleep(self._interval_s)
