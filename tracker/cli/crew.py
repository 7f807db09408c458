"""Several serving processes on one socket, of one database: started again when they die, ended together."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping

import click

log = logging.getLogger(__name__)

_TRACKER = (sys.executable, "-m", "tracker")
_PATIENCE_S = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_S = 60.0


def run_crew(listener: socket.socket, workers: int) -> None:
    """Serve with so many processes until a signal ends them. Raises ``ClickException`` if one did not end well."""
    statuses = asyncio.run(_Crew(listener, workers).run())
    if any(statuses):
        raise click.ClickException("a serving process did not end well: the reason stands above")


class _Crew:
    def __init__(self, listener: socket.socket, workers: int) -> None:
        self._listener = listener
        self._workers = workers
        self._running: dict[int, asyncio.subprocess.Process] = {}

    async def run(self) -> list[int]:
        self._ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._end)
        return await asyncio.gather(*(self._keep(number) for number in range(self._workers)))

    def _end(self) -> None:
        self._ending.set()
        for process in self._running.values():
            if process.returncode is None:
                process.terminate()

    async def _keep(self, number: int) -> int:
        """Run one of them, again and again, and give the status it ended with in the end."""
        pause_s = _FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            process = self._running[number] = await self._started(number)
            status = await self._ended(process)
            if self._ending.is_set():
                return 0 if status == -signal.SIGTERM else status  # it may have begun a moment ago
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else min(2 * pause_s, _LONGEST_PAUSE_S)
            log.warning("serving process %d ended with status %d and is started again", number, status)
            if await self._ends_within(pause_s):
                return 0

    async def _started(self, number: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *_TRACKER,
            *("serve", "--fd", str(self._listener.fileno())),
            env=_environment(number),
            pass_fds=[self._listener.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        if self._ending.is_set():
            process.terminate()
        return process

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        waiting, ending = asyncio.create_task(process.wait()), asyncio.create_task(self._ending.wait())
        await asyncio.wait((waiting, ending), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        try:
            return await asyncio.wait_for(waiting, _PATIENCE_S)
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def _ends_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _environment(number: int) -> Mapping[str, str]:
    """The first alone has a worker beside it: one is elected anyway, and the others would only wait."""
    return {**os.environ, **({} if number == 0 else {"TRACKER_WORKER": "elsewhere"})}
