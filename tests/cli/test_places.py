"""How many may be connected, and who gives way. Real sockets; the clock is turned by hand."""

import pytest

from tests.cli.connected import (
    GET,
    expect_refused,
    is_open,
    served,
)
from tracker.cli.connections import Connections, Limits
from tracker.web.tallies import Connected

pytestmark = pytest.mark.anyio


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
