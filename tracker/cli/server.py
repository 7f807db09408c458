"""uvicorn with our options, from the first request to the last."""

import asyncio
import functools
import logging
import signal
import socket
from types import FrameType
from typing import Any

import click
import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ..app import App
from ..settings import Settings
from .connections import Connections, Limits, connections_within_reach
from .listener import BACKLOG
from .protocol import Protocol

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 5


class _Server(uvicorn.Server):
    """uvicorn, which says on /readyz that it drains."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.drain()
        super().handle_exit(sig, frame)


def run(settings: Settings, app: App, listener: socket.socket) -> None:
    """Answer what comes in until a signal ends it. Raises ``ClickException`` when the application does not start."""
    # Our types of ASGI are Starlette's, which are looser than uvicorn's.
    asgi: Any = app
    config = uvicorn.Config(
        ProxyHeadersMiddleware(asgi, trusted_hosts=settings.proxies) if settings.proxies else asgi,
        loop="uvloop",
        http=functools.partial(Protocol, connections=_connections(settings, app)),  # type: ignore[arg-type]
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would write every token to the log
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
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
    if app.gave_up:
        raise click.ClickException("the server could not go on: the reason stands above")


def _connections(settings: Settings, app: App) -> Connections:
    limits = Limits(
        head_seconds=settings.head_seconds,
        body_seconds=settings.body_seconds,
        connections=connections_within_reach(settings.connections),
        per_address=settings.connections_per_address,
        proxies=settings.proxies,
    )
    return Connections(limits, app.connected)


def _cuts_in_one_line(record: logging.LogRecord) -> bool:
    """What still runs when the time to drain is up is cancelled: uvicorn would show where each of them stood."""
    if str(record.msg).startswith("Cancel %s running task"):
        log.warning("the time to drain was up before all had ended; requests cut: %s", *record.args or ())
        return False
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
