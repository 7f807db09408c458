"""A server of our own: the real one, as a child process."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

T = TypeVar("T")

DATABASE = "tracker.db"
LOG = "server.log"
"""What the files in the server's folder are called."""

_TRACKER = (sys.executable, "-m", "tracker")
_READY_WITHIN_S = 30.0
_PATIENCE_S = 8.0
_ANOTHER_MOMENT_S = 0.5
_TAIL_LINES = 15


class Server:
    """A running ``tracker serve``, and the commands beside it."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, environment: Mapping[str, str], log: Path):
        self.address = address
        self._environment = environment
        self._log = log
        self._ended = asyncio.create_task(process.wait())

    async def starting(self, ready: Awaitable[None]) -> None:
        """Wait for the server to be ready. Raises ``ClickException`` when that takes too long."""
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                await ready
        except TimeoutError:
            raise self.failure(f"the server was not ready within {_READY_WITHIN_S:.0f} s") from None

    async def create_account(self, name: str) -> str:
        """Make an account, and give its API key."""
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *_TRACKER,
                *("account", "create", name, "--json"),
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        try:
            written, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise self.failure("the account could not be made")
        return msgspec.json.decode(written, type=_AccountCreated).api_key

    async def outliving(self, work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
        """The result of ``work``, or None once ``stop`` is set. Raises ``ClickException`` if the server ends first."""
        working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopped, self._ended), return_when=asyncio.FIRST_COMPLETED)
            failed = working.done() and working.exception() is not None
            # A signal to the whole process group may end what we wait for a moment before we hear of it.
            if (failed or self._ended.done()) and await _soon(stop):
                return None
            if self._ended.done():
                raise self.failure(f"the server ended by itself, with status {self._ended.result()}")
            return working.result() if working.done() else None
        finally:
            working.cancel()
            stopped.cancel()
            await asyncio.gather(working, stopped, return_exceptions=True)

    def failure(self, sentence: str) -> click.ClickException:
        """The sentence with the last lines of the server's log."""
        lines = self._log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        words = "".join(f"\n  {line}" for line in lines)
        return click.ClickException(f"{sentence}. The end of its log:{words}" if words else f"{sentence}.")


class _AccountCreated(msgspec.Struct):
    api_key: str


async def _soon(stop: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(_ANOTHER_MOMENT_S):
            await stop.wait()
    return stop.is_set()


@asynccontextmanager
async def serving(
    listener: socket.socket, folder: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """A server on that socket with its log in ``folder``, for as long as it is entered.

    Without an environment for it its database lies in ``folder`` too, and no setting of ours is its. It gets SIGTERM
    at the end, and 8 s to end in.
    """
    host, port = listener.getsockname()[:2]
    address, log = f"http://{host}:{port}", folder / LOG
    if environment is None:
        environment = _environment(host, port, address, folder)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *_TRACKER,
            *("serve", "--fd", str(listener.fileno())),
            env=environment,
            pass_fds=[listener.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    # Were it open here too, clients would wait for answers from a server that is gone.
    listener.close()
    try:
        yield Server(process, address, environment, log)
    finally:
        await _end(process)


def _environment(host: str, port: int, address: str, folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
    return inherited | {
        "TRACKER_DATABASE_URL": f"sqlite:///{folder / DATABASE}",
        "TRACKER_BASE_URL": address,
        "TRACKER_HOST": host,
        "TRACKER_PORT": str(port),
        "TRACKER_DRAIN_SECONDS": "2",
        "TRACKER_LOG_FORMAT": "text",
    }


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
