"""What is kept in memory, and read again and again."""

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from typing import Self

from ..storage.database import Unavailable, reason, unforeseen

log = logging.getLogger(__name__)


class Rereading(ABC):
    """Read at the start, and reread every ``interval_s``; its last state holds while it cannot be read."""

    def __init__(self, what: str, interval_s: float) -> None:
        self._what = what
        self._interval_s = interval_s
        self.read_at = 0.0
        """When it was last seen to be as the database has it, in Unix seconds."""

    async def __aenter__(self) -> Self:
        self._failing = False
        try:
            await self._read()
        except Unavailable as error:
            # Of a server that is away at the start; a file that cannot be read has stopped it before.
            log.warning("%s are not known yet: %s", self._what, reason(error))
            self._failing = True
        self._task = asyncio.create_task(self._run(), name=self._what)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @abstractmethod
    async def refresh(self) -> None:
        """Read it again if it has changed."""

    async def _read(self) -> None:
        await self.refresh()
        self.read_at = time.time()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self._turn()

    async def _turn(self) -> None:
        try:
            await self._read()
            self._failing = False
        except Exception as error:
            if not self._failing:
                log.warning(
                    "%s in memory are kept as they were: %s", self._what, reason(error), exc_info=unforeseen(error)
                )
            self._failing = True
