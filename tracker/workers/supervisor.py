"""Starts the worker as a process of its own, and starts it again when it dies."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Self

from ..storage.database import reason

log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0


class Supervisor:
    """The worker ends when the pipe to its standard input closes, which happens however this process ends."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        patience_s: float = 2.0,
        first_pause_s: float = 0.5,
    ) -> None:
        self._command = command
        self._environment = dict(environment)
        self._patience_s = patience_s
        self._first_pause_s = first_pause_s
        self._process: asyncio.subprocess.Process | None = None
        self._closing = False
        self.restarts = 0
        """How often the worker was started again."""

    async def __aenter__(self) -> Self:
        await self._start()
        self._task = asyncio.create_task(self._run(), name="supervisor")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.drain()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._end()

    def drain(self) -> None:
        """Start no worker any more: a signal to the whole group ends it while the last requests are answered."""
        self._closing = True

    def alive(self) -> bool:
        """Whether the worker runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The worker's process; None before there is one."""
        return self._process.pid if self._process is not None else None

    async def _start(self) -> None:
        # It stays in our session and process group, so that a signal to the group reaches both.
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, env=self._environment
        )

    async def _run(self) -> None:
        loop, pause_s = asyncio.get_running_loop(), self._first_pause_s
        while self._process is not None:
            started = loop.time()
            status = await self._process.wait()
            if loop.time() - started > _STEADY_S:
                pause_s = self._first_pause_s
            # A signal to the whole group ends the worker a moment before we are told to drain ourselves.
            await asyncio.sleep(pause_s)
            if self._closing:
                return
            log.warning("the worker ended with status %d and is started again", status)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            self.restarts += 1
            try:
                await self._start()
            except OSError as error:
                log.error("the worker cannot be started now: %s", reason(error))

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), self._patience_s)
        except TimeoutError:
            log.warning(
                "the worker did not end within %.0f s and is killed; its rest stays in the journal", self._patience_s
            )
            process.kill()
            await process.wait()
