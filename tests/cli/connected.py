"""Connections over real sockets to a server whose clock is turned by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tests.web.serving import SAFE
from tracker.cli.connections import Connections, Limits
from tracker.cli.protocol import Protocol
from tracker.web.tallies import Connected

HEAD_S, BODY_S = 10, 30
GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Application:
    """Answers each path in its way, and keeps what it heard."""

    heard: list[Any] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path, body = scope["path"], b"well"
        self.heard.append([name for name, _ in scope["headers"]])
        self.answering.set()
        if path == "/patient":
            await self.may_answer.wait()
        elif path == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1_000):
                await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            self.ended.set()
            return
        elif path.startswith("/much"):
            body = b"x" * int(path.removeprefix("/much/"))
        elif scope["method"] == "POST" and path != "/hasty":
            while True:
                message = await receive()
                self.heard.append((message["type"], len(message.get("body", b""))))
                if not message.get("more_body"):
                    break
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})
        self.heard.append([name for name, _ in scope["headers"]])
        self.ended.set()


class Watched(Protocol):
    """Counts what has been read."""

    received = made = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        Watched.made += 1

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        Watched.received += len(data)


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, sent: bytes, pieces: int = 1) -> None:
        """Write this, and wait until the server has read it."""
        size = -(-len(sent) // pieces)
        for start in range(0, len(sent), size or 1):
            wanted = Watched.received + len(sent[start : start + size])
            self.writer.write(sent[start : start + size])
            await until(lambda wanted=wanted: Watched.received >= wanted or self.reader.at_eof())  # type: ignore[misc]

    async def answer(self) -> bytes:
        """The next answer, whole."""
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return head + await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All that comes until the server hangs up."""
        try:
            async with asyncio.timeout(5):
                return await self.reader.read()
        except ConnectionError:
            return b""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a state."""
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


@dataclass
class Server:
    """The protocol behind a real listener."""

    application: Application
    connections: Connections
    port: int
    clients: list[Client] = field(default_factory=list)

    def pass_seconds(self, seconds: float) -> None:
        """Let the server live through these."""
        end = self.connections.now + seconds
        while self.connections.now < end:
            self.connections.advance()

    async def connect(self, sent: bytes = b"", address: str = "127.0.0.1") -> Client:
        """A client that has sent this."""
        before = Watched.made
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0)))
        self.clients.append(client)
        await until(lambda: Watched.made > before)
        await client.send(sent)
        return client


@asynccontextmanager
async def served(**changes: Any) -> AsyncIterator[Server]:
    """A server with limits of its own, whose clock stands still."""
    limits = {"head_seconds": HEAD_S, "body_seconds": BODY_S, "connections": 100, "per_address": 100, **changes}
    application, connections, state = Application(), Connections(Limits(**limits), Connected()), ServerState()
    connections._ticking = True
    config = uvicorn.Config(application, ws="none", lifespan="off", log_config=None, access_log=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # What a client does not read stays with us soon.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        server = await asyncio.get_running_loop().create_server(
            lambda: Watched(config=config, server_state=state, app_state={}, connections=connections), sock=listener
        )
        started = Server(application, connections, listener.getsockname()[1])
        try:
            yield started
        finally:
            server.close()
            application.may_answer.set()
            for client in started.clients:
                client.writer.transport.abort()
        await until(lambda: not state.connections and not state.tasks)
    assert (connections._all, connections._crowds, connections._crowd_of) == (set(), {}, {})


def expect_refused(answer: bytes, status: int) -> None:
    """One answer, the last one, with the fields that all of ours have."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    assert first.split(" ")[:2] == ["HTTP/1.1", str(status)]
    assert SAFE.items() <= fields.items()
    assert fields["connection"] == "close"
    assert int(fields["content-length"]) == len(body)


async def is_open(client: Client) -> bool:
    """Whether the connection still works, once all that is due has happened."""
    await asyncio.sleep(0.01)
    # What was said last may still lie there unread.
    ended: bool = vars(client.reader)["_eof"]
    return not ended and client.reader.exception() is None


def protocols(server: Server) -> list[Protocol]:
    """What the server holds of its connections."""
    return [connection for connection in server.connections._all if isinstance(connection, Protocol)]
