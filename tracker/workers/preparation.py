"""Brings a database that was away at the start to this release as soon as it is there."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Self

from ..domain.keys import BadKeyring
from ..storage.database import BadDatabase, reason, unforeseen

log = logging.getLogger(__name__)


class Preparation:
    """Tries ``prepare`` until it succeeds. What no waiting repairs is told to ``give_up``, or raised at the start."""

    def __init__(
        self, prepare: Callable[[], Awaitable[object]], give_up: Callable[[], None], *, retry_s: float = 0.5
    ) -> None:
        self._prepare = prepare
        self._give_up = give_up
        self._retry_s = retry_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._prepare()
        except OSError as error:
            log.error("the database cannot be used yet: %s", reason(error))
            self._task = asyncio.create_task(self._run(), name="preparation")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        done = False
        while not done:
            await asyncio.sleep(self._retry_s)
            done = await self._done()

    async def _done(self) -> bool:
        try:
            await self._prepare()
        except (BadDatabase, BadKeyring) as error:
            log.critical("the server cannot go on: %s", reason(error))
            self._give_up()
        except Exception as error:
            log.debug("the database cannot be used yet: %s", reason(error), exc_info=unforeseen(error))
            return False
        else:
            log.warning("the database can be used now")
        return True
