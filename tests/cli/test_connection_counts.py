"""What becomes of connections is counted, by the limit that cut them."""

import pytest

from tests.cli.connected import BODY_S, GET, HEAD_S, protocols, served, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("sent", "limit"),
    [
        (b"", "nothing_sent"),
        (b"GET", "head"),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx", "body"),
        (b"no HTTP\r\n\r\n", "syntax"),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", "size"),
    ],
    ids=["nothing", "half a head", "half a body", "no request", "a long target"],
)
async def test_cut_is_counted_by_its_limit(sent: bytes, limit: str) -> None:
    """Once for each connection; those that are open are counted as long as they are."""
    async with served() as server:
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
