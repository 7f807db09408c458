"""How long a request, an answer and a connection may take. Real sockets; the clock is turned by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from tests.cli.connected import (
    BODY_S,
    CHUNKED,
    GET,
    HEAD_S,
    POST,
    Client,
    Server,
    expect_refused,
    is_open,
    protocols,
    served,
    until,
)
from tracker.cli.protocol import Protocol

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with served() as started:
        yield started


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
        await loop.sock_sendall(reader, b"GET /much/%d HTTP/1.1\r\nHost: t\r\n%s\r\n" % (size, then))
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
