"""Days on which calendars and clocks are known to trip."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import Server
from tests.server.ledger import Ledger
from tests.server.load import Client
from tests.server.wall_clock import WallClock

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_MOMENTS = (
    "2027-10-31T00:59:59Z",  # the clocks of Berlin go back, where the server's time zone is
    "2028-02-29T23:59:59Z",
    "2038-01-19T03:14:07Z",  # the last second that 31 bits hold
    "2100-02-28T23:59:59Z",  # no leap year
    "2262-03-31T23:59:59Z",  # days before Python's own clock ends
)
_EVER = "/v1/events?order=asc&since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:60Z"


@pytest.mark.parametrize(
    "moments", [_MOMENTS[:3:2], pytest.param(_MOMENTS, marks=pytest.mark.long)], ids=["two", "all"]
)
async def test_a_server_lives_through_the_calendar(tmp_path: Path, moments: Sequence[str]) -> None:
    """F32: a message, its open, click and opt-out are stored with their day, and all numbers agree."""
    ledger, clock = Ledger(outlived=True), WallClock(tmp_path / "clock")
    settings = {**clock.settings, "TZ": "Europe/Berlin"}
    async with Server(tmp_path / "data", settings=settings) as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        for moment in moments:
            await clock.jump(server, int(datetime.fromisoformat(moment).timestamp() - time.time()))
            mail = await reader.make_mail(account)
            assert mail is not None
            answers = [await reader.open(mail), await reader.click(mail), await reader.leave(mail)]
            assert [answer.status for answer in answers if answer is not None] == [200, 302, 200]
        await server.caught_up()
        listed = await server.ask("GET", _EVER, headers=account.authorization)
        years = [event["occurred_at"][:4] for event in listed.json()["data"]]
        assert years == [moment[:4] for moment in moments for _ in range(3)]
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)
