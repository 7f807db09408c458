"""How large a request may be, and what is no part of it. Real sockets; the clock is turned by hand."""

from collections.abc import AsyncIterator

import pytest

from tests.cli.connected import (
    CHUNKED,
    GET,
    HEAD_S,
    POST,
    Server,
    expect_refused,
    is_open,
    served,
    until,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with served() as started:
        yield started


def target_of(size: int) -> bytes:
    return b"GET /%s HTTP/1.1\r\nHost: t\r\n\r\n" % (b"a" * (size - 1))


def fields_of(size: int) -> bytes:
    """A head whose fields have this many bytes, as lines."""
    lines = [b"Host: t\r\n", *(b"X-%03d: %s\r\n" % (number, b"y" * 993) for number in range((size - 14) // 1_002))]
    last = b"Y: %s\r\n" % (b"y" * (size - sum(map(len, lines)) - 5))
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
