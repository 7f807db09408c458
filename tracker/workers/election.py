"""Of the workers of several servers, one works: the others wait for its end."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Self

from ..storage.database import reason, unforeseen

log = logging.getLogger(__name__)

_PAUSE_S = 0.5


class Election:
    """Enters ``parts`` while it is ``alone``, and leaves them when it no longer is.

    ``alone`` waits until it holds what only one can hold, and gives an event that is set when that was lost. What was
    lost may go on for a moment: no part may count on being the only one, but for its own speed.
    """

    def __init__(
        self,
        alone: Callable[[], AbstractAsyncContextManager[asyncio.Event]],
        parts: Callable[[], Sequence[AbstractAsyncContextManager[Any]]],
    ) -> None:
        self._alone = alone
        self._parts = parts

    async def __aenter__(self) -> Self:
        self._closing = asyncio.Event()
        self._working = False
        self._task = asyncio.create_task(self._run(), name="election")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()
        await self._task

    async def _run(self) -> None:
        closing = asyncio.create_task(self._closing.wait())
        while not self._closing.is_set():
            term = asyncio.create_task(self._term())
            await asyncio.wait((term, closing), return_when=asyncio.FIRST_COMPLETED)
            # Whoever works finishes what it has begun; whoever waits has begun nothing.
            if not term.done() and not self._working:
                term.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await term
        closing.cancel()

    async def _term(self) -> None:
        try:
            async with self._alone() as lost, AsyncExitStack() as stack:
                self._working = True
                log.info("this worker makes the events now")
                for part in self._parts():
                    await stack.enter_async_context(part)
                await _first_of(lost, self._closing)
        except Exception as error:
            log.warning("the worker pauses: %s", reason(error), exc_info=unforeseen(error))
            await asyncio.sleep(_PAUSE_S)
        finally:
            self._working = False


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
