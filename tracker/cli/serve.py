"""Serving: the server as we start it, and its worker."""

import asyncio
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..app import App, create_app, create_worker
from ..settings import Settings, from_environment
from ..storage.database import reason
from ..storage.installation import Files, Prepared, files_of
from ..storage.locks import FileLock, Locked
from .connections import Connections, Limits, connections_within_reach
from .errors import EXPECTED
from .logs import start_logging
from .opening import prepared
from .output import json_option, show
from .protocol import Protocol

log = logging.getLogger(__name__)

_BACKLOG = 2_048
_KEEP_ALIVE_S = 5
_WORKER_PRIORITY = 10
_LOCK_POLL_S = 0.05


@click.command(short_help="Serve pixels, links, opt-outs and the API.")
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 takes a free one.  [default: 8000]")
@click.option("--fd", type=int, help="Listen on this open socket instead, as service managers hand it over.")
@json_option
def serve(host: str | None, port: int | None, fd: int | None, as_json: bool) -> None:
    """Serve pixels, links, opt-outs and the API, with the worker beside.

    In an empty folder it creates the database and the signing keys. It ends on SIGTERM or Ctrl-C, after
    answering the requests it has begun.
    """
    settings = from_environment(host=host, port=port)
    files = files_of(settings.database_url)
    with _only_server(files), listening(settings, fd) as listener:
        _, done = asyncio.run(prepared(settings))
        _check_writable(files)
        # What stops a start is a sentence; from here on there is a log.
        start_logging(settings.log_level, settings.log_format)
        _introduce(settings, files, done, listener, as_json=as_json)
        _run(settings, create_app(settings, done.keyring), listener)


@contextmanager
def _only_server(files: Files) -> Iterator[None]:
    if not files.main.parent.is_dir():
        raise click.ClickException(f"the folder of the database {files.main} does not exist: make it first")
    try:
        lock = FileLock(files.server_lock).__enter__()
    except Locked:
        raise click.ClickException(
            f"{files.main} is served by another process already: one server at a time works on an SQLite file"
        ) from None
    except OSError as error:
        raise click.ClickException(f"cannot write beside the database {files.main}: {error}") from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _check_writable(files: Files) -> None:
    # SQLite opens a read-only file without a complaint, and says so at the first event only.
    for file in (files.main, files.inbox):
        if not os.access(file, os.W_OK):
            raise click.ClickException(f"cannot write to the database {file}: check its owner and its permissions")


@contextmanager
def listening(settings: Settings, fd: int | None = None) -> Iterator[socket.socket]:
    """A socket that listens where the settings say. An address that is taken is an error that names it."""
    with _bound(settings) if fd is None else _handed_over(fd) as listener:
        yield listener


def _bound(settings: Settings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        # Until one listens, a second may bind the same port. From here on, whoever connects is answered.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise click.ClickException(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. Choose another with --port"
        ) from None
    return listener


def _handed_over(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        raise click.ClickException(f"cannot listen on descriptor {fd}: {error.strerror}") from None
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM:
        listener.close()
        raise click.ClickException(f"cannot listen on descriptor {fd}: it is no TCP socket")
    return listener


def _introduce(settings: Settings, files: Files, done: Prepared, listener: socket.socket, *, as_json: bool) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    made = f"Created the database {files.main} with its inbox and signing keys.\n" if done.new else ""
    sentence = (
        f"{made}Tracker listens on {address}; links begin with {settings.base_url}.\n"
        "Make an account and its API key, also while this runs:  tracker account create NAME"
    )
    shown = {"address": address, "base_url": settings.base_url, "database": str(files.main), "created": done.new}
    show(shown, sentence, as_json=as_json)
    sys.stdout.flush()
    if not settings.base_url.startswith("https://"):
        log.warning("TRACKER_BASE_URL is not https: mail programs offer one-click unsubscribe over https only")


class _Server(uvicorn.Server):
    """uvicorn, which says on /readyz that it drains."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.drain()
        super().handle_exit(sig, frame)


def _run(settings: Settings, app: App, listener: socket.socket) -> None:
    # Our types of ASGI are Starlette's, which are looser than uvicorn's.
    asgi: Any = app
    config = uvicorn.Config(
        ProxyHeadersMiddleware(asgi, trusted_hosts=settings.proxies) if settings.proxies else asgi,
        loop="uvloop",
        http=functools.partial(Protocol, connections=_connections(settings)),  # type: ignore[arg-type]
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would write every token to the log
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    # Its warnings are about what any stranger may send.
    logging.getLogger("uvicorn").setLevel("ERROR")
    logging.getLogger("uvicorn.error").addFilter(_cuts_in_one_line)
    server = _Server(config, app)
    # Until uvicorn listens for signals itself; it also raises the one that ended it again, and that is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        raise click.ClickException("the server could not start: the reason stands above") from None


def _connections(settings: Settings) -> Connections:
    limits = Limits(
        head_seconds=settings.head_seconds,
        body_seconds=settings.body_seconds,
        connections=connections_within_reach(settings.connections),
        per_address=settings.connections_per_address,
        proxies=settings.proxies,
    )
    return Connections(limits)


def _cuts_in_one_line(record: logging.LogRecord) -> bool:
    """What still runs when the time to drain is up is cancelled: uvicorn would show where each of them stood."""
    if str(record.msg).startswith("Cancel %s running task"):
        log.warning("the time to drain was up before all had ended; requests cut: %s", *record.args or ())
        return False
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


@click.command(hidden=True)
def worker() -> None:
    """What "serve" starts beside itself; it ends when its standard input does."""
    settings = from_environment()
    start_logging(settings.log_level, settings.log_format)
    os.nice(_WORKER_PRIORITY)
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
    lock = await _lock_when_free(files_of(settings.database_url).worker_lock, ended)
    if lock is None:
        return
    try:
        async with create_worker(settings):
            await ended.wait()
    finally:
        lock.__exit__(None, None, None)


def _pipe_closed(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # The end of a file stays readable: heard once, it would be told again at every turn.
    loop.remove_reader(sys.stdin.fileno())
    ended.set()


async def _lock_when_free(path: Path, ended: asyncio.Event) -> FileLock | None:
    """The worker of a server that was killed may still be finishing its slice."""
    while not ended.is_set():
        try:
            return FileLock(path).__enter__()
        except Locked:
            await asyncio.sleep(_LOCK_POLL_S)
    return None
