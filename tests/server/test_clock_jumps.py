"""The clock of the machine is set wrong, and right again: nothing is lost, forgotten or held up."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import Account, Server, broken
from tests.server.ledger import Ledger
from tests.server.load import Load, message_request, new_name
from tests.server.locks import locked
from tests.server.stored import rows_of
from tests.server.wall_clock import WallClock

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_HOUR_S, _DAY_S = 3_600, 86_400
_JUMPS = (-_HOUR_S, 40 * _DAY_S, 0)

Event = Mapping[str, Any]


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    """Set right."""
    return WallClock(tmp_path / "clock")


class Follower:
    """Reads the feed as a customer does, from where it stopped."""

    def __init__(self, server: Server, account: Account) -> None:
        self._server = server
        self._account = account
        self._after = 0
        self.events: list[Event] = []

    async def follow(self) -> None:
        """As far as it goes now."""
        while True:
            answer = await self._server.ask(
                "GET", f"/v1/events/feed?after={self._after}&limit=1000", headers=self._account.authorization
            )
            assert answer.status == 200, answer
            page = answer.json()
            self._after = page["next"]
            self.events += page["data"]
            if len(page["data"]) < 1000:
                return


async def undo(server: Server, left: Mapping[str, Any]) -> int:
    """The status of taking an opt-out back on the page of the message."""
    path = urlsplit(left["preferences_url"]).path
    return (await server.ask("POST", path, body=b"action=undo")).status


async def leave(server: Server, account: Account, name: str) -> Mapping[str, Any]:
    """A message to whom it is one too many."""
    headers, body = message_request(account, name)
    made: Mapping[str, Any] = (await server.ask("POST", "/v1/messages", headers=headers, body=body)).json()
    assert (await server.ask("POST", urlsplit(made["unsubscribe_url"]).path)).status == 200
    return made


async def post_once(server: Server, account: Account, key: str) -> tuple[int, str]:
    """Make a message under a key: the status, and the id it got."""
    body = json.dumps({"campaign": "once", "recipient": {"email": "once@example.com"}}).encode()
    headers = {**account.authorization, "idempotency-key": key}
    answer = await server.ask("POST", "/v1/messages", headers=headers, body=body)
    return answer.status, answer.json()["id"]


async def test_a_jumping_clock_loses_nothing_and_holds_up_nothing(tmp_path: Path, clock: WallClock) -> None:
    """F09, F24: an hour back, forty days ahead, and right again, under load; a lock is held while it is wrong."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data", settings=clock.settings) as server:
        account = await server.create_account("north")
        follower, took_s = Follower(server, account), []
        async with Load(server, [account], ledger, readers=2, leavers=1) as load:
            await load.grows(by=100)
            for jump in _JUMPS:
                await clock.jump(server, jump)
                await load.grows(by=100)
                with locked(server.inbox):
                    await server.health_when(lambda state: state["status"] == "degraded", within_s=10)
                took_s.append(await well_again(server))
                await follower.follow()
        await server.caught_up(within_s=10)
        await follower.follow()
        print(f"well after {[round(s, 2) for s in took_s]} s, {len(follower.events)} events")
        assert [event["sequence"] for event in follower.events] == list(range(1, len(follower.events) + 1))
        assert len({event["id"] for event in follower.events}) == len(follower.events)
        assert [event["occurred_at"] for event in follower.events] != sorted(e["occurred_at"] for e in follower.events)
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def well_again(server: Server, *, within_s: float = 10.0) -> float:
    """Wait until nothing is behind, and give the seconds it took."""
    return await server.health_when(
        lambda state: state["status"] == "ok" and state["projector_lag_seconds"] < 2, within_s=within_s
    )


async def test_what_holds_for_a_day_holds_through_a_jump(tmp_path: Path, clock: WallClock) -> None:
    """F09, A10: forty days ahead an opt-out cannot be taken back; set right again it can, and a key is still known."""
    async with Server(tmp_path / "data", settings=clock.settings) as server:
        account = await server.create_account("north")
        made = await post_once(server, account, "the-only-one")
        left = [await leave(server, account, new_name("message")) for _ in range(2)]
        await clock.jump(server, 40 * _DAY_S)
        assert await undo(server, left[0]) == 409
        await clock.jump(server, -_HOUR_S)
        assert await undo(server, left[0]) == 200
        await clock.jump(server, 0)
        assert await undo(server, left[1]) == 200
        assert await post_once(server, account, "the-only-one") == made
        await expect_a_good_end(server)


async def test_waiting_by_the_time_of_day_is_caught(tmp_path: Path, clock: WallClock) -> None:
    """F09's control: who met a lock forty days ahead holds everybody up until then."""
    program = broken("waits-by-the-time-of-day")
    async with Server(tmp_path / "data", program=program, settings=clock.settings) as server:
        account = await server.create_account("north")
        async with Load(server, [account], Ledger(), readers=2, leavers=1) as load:
            await load.grows(by=10)
            await clock.jump(server, 40 * _DAY_S)
            with locked(server.inbox):
                await load.answered("opened", 503, more=10)
            await clock.jump(server, 0)
            with pytest.raises(TimeoutError):
                await well_again(server, within_s=5)


@pytest.mark.long
async def test_nothing_is_forgotten_by_a_jump(tmp_path: Path, clock: WallClock) -> None:
    """F09, A10.7: forty days ahead for two rounds of the expiry; set right again, every receipt is there."""
    async with Server(tmp_path / "data", settings=clock.settings) as server:
        account = await server.create_account("north")
        made = await post_once(server, account, "the-only-one")
        await clock.jump(server, 40 * _DAY_S)
        await outlive(server, seconds=130)
        assert rows_of(server.main, "select count(*) from receipts") == [(1,)]
        await clock.jump(server, 0)
        assert await post_once(server, account, "the-only-one") == made
        await expect_a_good_end(server)


async def outlive(server: Server, *, seconds: float) -> None:
    """Wait until the server has answered for so long."""
    with pytest.raises(TimeoutError):
        await server.health_when(lambda _: False, within_s=seconds)
