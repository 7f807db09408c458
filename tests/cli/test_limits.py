"""What a client may take of the server: time, size, and places. Real sockets; the clock is turned by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.web.serving import SAFE
from tracker.cli.connections import Connections, Limits
from tracker.cli.protocol import Protocol
from tracker.web.tallies import Connected

pytestmark = pytest.mark.anyio

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


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with served() as started:
        yield started


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


@pytest.mark.parametrize("sent", [GET[:1], GET[:-2], b"\r\n" * 10, GET[:-2] + b"X: " + b"y" * 5_000])
async def test_head_that_is_not_finished_is_cut(server: Server, sent: bytes) -> None:
    """The seconds count from the connection, however often something more comes (F17)."""
    client = await server.connect()
    for piece in (sent[:1], sent[1:]):
        await client.send(piece)
        server.pass_seconds(HEAD_S / 2 - 1)
    assert await is_open(client)
    server.pass_seconds(4)
    expect_refused(await client.rest(), 408)
    assert server.application.heard == []


async def test_connection_that_says_nothing_is_closed_without_a_word(server: Server) -> None:
    """Browsers connect in advance, and would take an answer for that of their next request."""
    client = await server.connect()
    server.pass_seconds(HEAD_S - 1)
    assert await is_open(client)
    server.pass_seconds(3)
    assert await client.rest() == b""


async def test_next_request_has_its_own_seconds(server: Server) -> None:
    """They begin with its first byte."""
    client = await server.connect(GET)
    await client.answer()
    server.pass_seconds(HEAD_S - 1)
    await client.send(GET[:10])
    server.pass_seconds(HEAD_S - 1)
    assert await is_open(client)
    await client.send(GET[10:])
    assert (await client.answer()).endswith(b"well")
    await client.send(b"\r\n")
    server.pass_seconds(HEAD_S + 2)
    expect_refused(await client.rest(), 408)


async def test_next_request_is_not_given_more_time_for_every_piece(server: Server) -> None:
    """Also on a connection that has been answered before."""
    client = await server.connect(GET)
    await client.answer()
    for piece in (GET[:5], GET[5:10]):
        assert await is_open(client)
        await client.send(piece)
        server.pass_seconds(HEAD_S / 2 + 1)
    expect_refused(await client.rest(), 408)


async def test_body_that_stands_still_is_cut(server: Server) -> None:
    """The application hears that the client has gone, and its answer is nobody's."""
    client = await server.connect(POST + b"x" * 100)
    server.pass_seconds(BODY_S - 1)
    assert await is_open(client)
    server.pass_seconds(4)
    expect_refused(await client.rest(), 408)
    await until(server.application.ended.is_set)
    assert server.application.heard[1:3] == [("http.request", 100), ("http.disconnect", 0)]


async def test_slow_line_gets_the_time_its_bytes_take(server: Server) -> None:
    """Half a megabyte is 32 seconds more."""
    client = await server.connect(POST + b"x" * 512 * 1024)
    server.pass_seconds(BODY_S + 31)
    assert await is_open(client)
    server.pass_seconds(4)
    expect_refused(await client.rest(), 408)


async def test_time_the_application_takes_is_not_the_clients(server: Server) -> None:
    """A question that waits, and a body nobody has looked at yet."""
    waiting = await server.connect(GET.replace(b"/", b"/patient", 1))
    unread = await server.connect(POST.replace(b"/", b"/patient", 1) + b"x" * 100_000)
    server.pass_seconds(BODY_S * 5)
    server.application.may_answer.set()
    assert (await waiting.answer()).endswith(b"well")
    assert (await unread.answer()).endswith(b"well")


async def test_body_that_goes_on_after_its_answer_has_an_end(server: Server) -> None:
    """The client may read its answer only when all is sent, so some time is left for that; not for ever."""
    client = await server.connect(CHUNKED.replace(b"/", b"/hasty", 1))
    assert (await client.answer()).endswith(b"well")
    for _ in range(6):
        await client.send(b"2\r\nxx\r\n")
        server.pass_seconds(BODY_S / 4)
        assert await is_open(client)
    server.pass_seconds(BODY_S + 2)
    assert not await is_open(client)


async def test_connection_whose_body_came_late_does_not_stay_for_ever(server: Server) -> None:
    """It is idle again, and the limit for that was lifted when the body came."""
    client = await server.connect(CHUNKED.replace(b"/", b"/hasty", 1))
    assert (await client.answer()).endswith(b"well")
    await client.send(b"2\r\nxx\r\n")
    await client.send(b"0\r\n\r\n")
    server.pass_seconds(HEAD_S + 2)
    assert await client.rest() == b""


@pytest.mark.parametrize("size", [60_000, 4_000_000])
@pytest.mark.parametrize("then", [b"", b"Connection: close\r\n"])
async def test_reader_who_does_not_read_is_cut(server: Server, size: int, then: bytes) -> None:
    """Whether the answer waits in the application or all of it with us (F18)."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    reader.setblocking(False)
    with reader:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(reader, ("127.0.0.1", server.port))
        await loop.sock_sendall(reader, b"GET /much/%d HTTP/1.1\r\n%s\r\n" % (size, then))
        await until(server.application.ended.is_set)
        (connection,) = server.connections._all
        assert isinstance(connection, Protocol)
        assert not connection.waits(), "it may still read"
        server.pass_seconds(BODY_S - 1)
        if size > 1_000_000:
            assert connection.transport.get_write_buffer_size() > 1_000_000
            server.pass_seconds(size / 16_384)
        if not then:
            connection.timeout_keep_alive_handler()
        server.pass_seconds(BODY_S + HEAD_S)
        await until(lambda: not server.connections._all)


async def test_stream_that_is_not_read_is_cut(server: Server) -> None:
    """The application waits for room that never comes, and hears that the client has gone (F18)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1_024)
    server.clients.append(Client(reader, writer))
    writer.write(GET.replace(b"/", b"/stream", 1))
    await until(lambda: any(connection._answer_due for connection in protocols(server)))
    server.pass_seconds(BODY_S - 1)
    await asyncio.sleep(0.01)
    assert len(server.connections._all) == 1
    server.pass_seconds(HEAD_S + BODY_S)
    await until(server.application.ended.is_set)


async def test_stream_that_is_read_goes_on(server: Server) -> None:
    """However long it takes, and even if it stood still for a while."""
    client = await server.connect(GET.replace(b"/", b"/stream", 1))
    for _ in range(5):
        await until(lambda: any(connection._answer_due for connection in protocols(server)))
        server.pass_seconds(BODY_S - 1)
        async with asyncio.timeout(5):
            await client.reader.readexactly(200_000)
    assert not server.application.ended.is_set()


def protocols(server: Server) -> list[Protocol]:
    return [connection for connection in server.connections._all if isinstance(connection, Protocol)]


def target_of(size: int) -> bytes:
    return b"GET /%s HTTP/1.1\r\nHost: t\r\n\r\n" % (b"a" * (size - 1))


def fields_of(size: int) -> bytes:
    """A head whose fields have this many bytes, as lines."""
    lines = [b"X-%03d: %s\r\n" % (number, b"y" * 993) for number in range(size // 1_002)]
    last = b"Y: %s\r\n" % (b"y" * (size - 1_002 * len(lines) - 5))
    return b"GET / HTTP/1.1\r\n%s%s\r\n" % (b"".join(lines), last)


SIZES: dict[str, tuple[bytes, int]] = {
    "the longest target": (target_of(4_096), 200),
    "a longer target": (target_of(4_097), 414),
    "a much longer target": (target_of(300_000), 414),
    "a target without end": (target_of(5_000)[:5_000], 414),
    "the most fields": (fields_of(16_384), 200),
    "more fields": (fields_of(16_385), 431),
    "many more fields": (fields_of(70_000), 431),
    "a field without end": (b"GET / HTTP/1.1\r\nX: " + b"y" * 30_000, 431),
    "a field name without end": (b"GET / HTTP/1.1\r\n" + b"y" * 30_000, 431),
    "no request at all": (b"\r\n" * 20_000, 431),
}


@pytest.mark.parametrize("pieces", [1, 7, 500])
@pytest.mark.parametrize(("sent", "status"), SIZES.values(), ids=SIZES)
async def test_sizes_of_a_head_are_limited(server: Server, sent: bytes, status: int, pieces: int) -> None:
    """However it is cut, to the byte, and the answer reaches a client that still sends (B-23)."""
    client = await server.connect()
    await client.send(sent, pieces)
    if status == 200:
        assert (await client.answer()).endswith(b"well")
        return
    expect_refused(await client.answer(), status)
    server.pass_seconds(4)
    assert await client.rest() == b""
    assert server.application.heard == []


async def test_many_requests_at_once_are_not_a_large_one(server: Server) -> None:
    """Heads count one by one, also when the last in a packet is cut, or follows a body."""
    client = await server.connect()
    await client.send(GET * 1_000 + GET[:10])
    for _ in range(1_000):
        assert (await client.answer()).endswith(b"well")
    body = POST.replace(b"1000000", b"50000") + b"x" * 50_000
    await client.send(GET[10:] + body + GET[:10])
    for _ in range(2):
        assert (await client.answer()).endswith(b"well")
    await client.send(GET[10:])
    assert (await client.answer()).endswith(b"well")


@pytest.mark.parametrize("last", [target_of(5_000), b"GARBAGE\r\n\r\n", fields_of(20_000)])
async def test_what_came_before_a_bad_request_is_answered(server: Server, last: bytes) -> None:
    """In its order, and whole; then the connection ends, without an answer in the midst of another."""
    client = await server.connect(GET.replace(b"/", b"/patient", 1) + GET + last)
    await until(server.application.answering.is_set)
    server.pass_seconds(HEAD_S * 3)
    assert await is_open(client)
    server.application.may_answer.set()
    answers = await client.rest()
    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b"well") == 2
    assert answers.count(b"HTTP/1.1 ") == 2


async def test_head_does_not_grow_while_another_request_is_answered(server: Server) -> None:
    """It is refused as ever, after that answer."""
    client = await server.connect(GET.replace(b"/", b"/patient", 1))
    await client.send(b"GET / HTTP/1.1\r\nX: " + b"y" * 30_000, pieces=10)
    server.application.may_answer.set()
    assert (await client.rest()).endswith(b"well")


async def test_body_that_breaks_off_into_nonsense_is_refused(server: Server) -> None:
    """At once, and the application does not wait for the rest."""
    client = await server.connect(CHUNKED + b"2\r\nxx\r\n")
    await until(lambda: ("http.request", 2) in server.application.heard)
    await client.send(b"nonsense\r\n")
    expect_refused(await client.answer(), 400)
    await until(server.application.ended.is_set)
    assert ("http.disconnect", 0) in server.application.heard


@pytest.mark.parametrize("more", [b"X: y\r\n" * 100, b"x-forwarded-for: 6.6.6.6\r\n"])
async def test_what_stands_below_a_body_is_no_field_of_the_request(server: Server, more: bytes) -> None:
    """A proxy in front has not seen it."""
    client = await server.connect(CHUNKED + b"2\r\nxx\r\n0\r\n" + more + b"\r\n")
    assert (await client.answer()).endswith(b"well")
    assert server.application.heard[0] == server.application.heard[-1] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize("more", [b"0\r\nX: " + b"y" * 30_000, b"2;x=" + b"y" * 30_000])
async def test_what_is_no_body_does_not_grow_in_its_place(server: Server, more: bytes) -> None:
    """Fields below a body, and what may be said about a chunk."""
    client = await server.connect(CHUNKED + b"2\r\nxx\r\n")
    await client.send(more)
    expect_refused(await client.answer(), 431)


async def test_one_address_does_not_take_every_place() -> None:
    """Beyond its share those of its connections hang up that have waited longest; others keep theirs."""
    async with served(per_address=3) as server:
        other = await server.connect(address="127.0.0.2")
        first = await server.connect(GET[:10])
        server.pass_seconds(2)
        busy = await server.connect(GET.replace(b"/", b"/patient", 1))
        second = await server.connect(GET)
        await second.answer()
        third = await server.connect(GET)
        assert await first.rest() == b""
        assert (await third.answer()).endswith(b"well")
        assert [await is_open(one) for one in (other, busy, second)] == [True] * 3


async def test_address_that_is_busy_is_told_to_come_again() -> None:
    """Nothing that is being answered is given up for a newcomer."""
    async with served(per_address=2) as server:
        patient = GET.replace(b"/", b"/patient", 1)
        busy = [await server.connect(patient) for _ in range(2)]
        refused = await server.connect()
        answer = await refused.rest()
        expect_refused(answer, 503)
        assert b"retry-after: 1\r\n" in answer
        assert await is_open(await server.connect(address="127.0.0.2"))
        server.application.may_answer.set()
        assert [(await one.answer())[-4:] for one in busy] == [b"well"] * 2


async def test_half_open_connections_make_room_for_requests() -> None:
    """When all places are taken, whoever sends nothing is worth least."""
    async with served(connections=32) as server:
        half_open = [await server.connect(GET[:10]) for _ in range(32)]
        server.pass_seconds(1)
        for _ in range(40):
            client = await server.connect(GET)
            assert (await client.answer()).endswith(b"well")
        assert len(server.connections._all) <= 32
        assert not any([await is_open(one) for one in half_open])


class Silent:
    """A connection that says nothing."""

    due = 0.0
    gone = False

    def look(self) -> None:
        self.give_way()

    def waits(self) -> bool:
        return True

    def give_way(self) -> None:
        assert not self.gone
        self.gone = True


async def test_room_is_made_once_for_each_newcomer() -> None:
    """Many come in one turn of the loop, before the first that was hung up on is really gone."""
    connections = Connections(Limits(head_seconds=1, body_seconds=1, connections=8, per_address=8), Connected())
    connections._ticking = True
    everybody = [Silent() for _ in range(100)]
    for newcomer in everybody:
        assert connections.admit(newcomer, "203.0.113.9")
        assert sum(not one.gone for one in everybody[: everybody.index(newcomer) + 1]) <= 8


@pytest.mark.parametrize("proxies", [["127.0.0.1"], ["10.0.0.0/8", "127.0.0.0/8"]])
async def test_trusted_proxy_may_have_every_place(proxies: list[str]) -> None:
    """All readers come through it."""
    async with served(per_address=1, proxies=proxies) as server:
        clients = [await server.connect(GET[:10]) for _ in range(10)]
        assert [await is_open(one) for one in clients] == [True] * 10


async def test_address_is_that_of_a_whole_network_in_ipv6() -> None:
    """A /64 is what one household gets; an IPv4 address is the same in both families."""
    crowd = Connections(Limits(head_seconds=1, body_seconds=1, connections=1, per_address=1), Connected())._crowd
    assert crowd("2001:db8:1:2::3") == crowd("2001:db8:1:2:ffff::4") != crowd("2001:db8:1:3::3")
    assert crowd("::ffff:203.0.113.9") == crowd("203.0.113.9") != crowd("203.0.113.8")
    assert crowd(None) is None


@pytest.mark.parametrize(
    ("sent", "limit"),
    [
        (b"", "nothing_sent"),
        (b"GET", "head"),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx", "body"),
        (b"no HTTP\r\n\r\n", "syntax"),
        (target_of(9_000), "size"),
    ],
)
async def test_cut_is_counted_by_its_limit(server: Server, sent: bytes, limit: str) -> None:
    """Once for each connection; those that are open are counted as long as they are."""
    connected = server.connections.connected
    await server.connect(sent)
    server.pass_seconds(HEAD_S + BODY_S + 1)
    await until(lambda: bool(connected.cut))
    assert connected.cut == {limit: 1}
    server.pass_seconds(HEAD_S + BODY_S)
    await until(lambda: connected.open == 0)


async def test_newcomers_without_a_place_are_counted() -> None:
    """A place that was taken away, and one that could not be."""
    async with served(per_address=1) as server:
        await server.connect()
        await server.connect(GET.replace(b"/", b"/stream", 1))
        await until(lambda: server.connections.connected.cut == {"place": 1})
        await until(lambda: any(connection._answer_due for connection in protocols(server)))
        await server.connect()
        await until(lambda: server.connections.connected.refused == 1)
