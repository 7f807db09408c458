"""How our server writes what it answers."""

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tracker.cli.connections import Connections, Limits
from tracker.cli.protocol import Protocol
from tracker.web.prepared import Prepared
from tracker.web.tallies import Connected

pytestmark = pytest.mark.anyio

_ANSWER = Prepared.of(200, [(b"content-length", b"2")], b"ok")


async def _app(scope: Scope, _receive: Receive, send: Send) -> None:
    await _ANSWER.send(scope, send)


class _Wire(asyncio.Transport):
    """Remembers each write: to a socket, each is a system call."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


async def _answered(request: bytes) -> list[bytes]:
    """What is written after this request."""
    config = uvicorn.Config(_app, http=Protocol, lifespan="off", log_config=None, server_header=False)
    config.load()
    state, wire = uvicorn.server.ServerState(), _Wire()
    connections = Connections(Limits(head_seconds=10, body_seconds=30, connections=1, per_address=1), Connected())
    protocol = Protocol(config=config, server_state=state, app_state={}, connections=connections)
    protocol.connection_made(wire)
    protocol.data_received(request)
    await asyncio.gather(*state.tasks)
    protocol.connection_lost(None)
    return wire.written


async def test_answer_made_beforehand_is_one_write() -> None:
    """On the wire each write may be a packet of its own."""
    written = await _answered(b"GET / HTTP/1.1\r\nHost: t.example.com\r\n\r\n")
    assert written == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]


async def test_last_answer_of_a_connection_says_so() -> None:
    """It goes the usual way, which tells the client."""
    written = await _answered(b"GET / HTTP/1.1\r\nHost: t.example.com\r\nConnection: close\r\n\r\n")
    assert b"".join(written) == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


async def test_answer_to_head_has_no_body() -> None:
    """It goes the usual way, which leaves it out."""
    written = await _answered(b"HEAD / HTTP/1.1\r\nHost: t.example.com\r\n\r\n")
    assert b"".join(written) == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
