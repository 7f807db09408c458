"""The worker: what "serve" starts beside itself."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import click

from ..app import create_worker
from ..settings import Settings, from_environment
from ..storage.database import reason
from ..storage.installation import Files
from ..storage.locks import FileLock, Locked
from ..storage.shared import place_of
from .errors import EXPECTED
from .logs import start_logging

log = logging.getLogger(__name__)

_PRIORITY = 10
_LOCK_POLL_S = 0.05


@click.command(hidden=True)
def worker() -> None:
    """What "serve" starts beside itself; it ends when its standard input does."""
    settings = from_environment()
    start_logging(settings.log_level, settings.log_format)
    os.nice(_PRIORITY)
    try:
        asyncio.run(_work(settings))
    except EXPECTED as error:
        log.critical("the worker ends: %s", reason(error))
        sys.exit(1)


async def _work(settings: Settings) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_reader(sys.stdin.fileno(), _pipe_closed, loop, ended)
    place = place_of(settings.database_url)
    # Of a shared database many may start: one is elected.
    free = _locked_when_free(place.worker_lock, ended) if isinstance(place, Files) else contextlib.nullcontext(True)
    async with free as locked:
        if locked:
            async with create_worker(settings):
                await ended.wait()


def _pipe_closed(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # The end of a file stays readable: heard once, it would be told again at every turn.
    loop.remove_reader(sys.stdin.fileno())
    ended.set()


@asynccontextmanager
async def _locked_when_free(path: Path, ended: asyncio.Event) -> AsyncIterator[bool]:
    """Whether the lock was got before the end: the worker of a server that was killed may still finish its slice."""
    with ExitStack() as stack:
        locked = False
        while not (locked or ended.is_set()):
            try:
                stack.enter_context(FileLock(path))
                locked = True
            except Locked:
                await asyncio.sleep(_LOCK_POLL_S)
        yield locked
