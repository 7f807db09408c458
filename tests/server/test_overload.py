"""More at once than the server will hold: it says so, stays small, and goes on."""

import asyncio
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_accepted, expect_nothing_lost
from tests.server.harness import Server
from tests.server.ledger import Ledger
from tests.server.load import Client, Load, make_mails
from tests.server.locks import locked

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_WAITING = 64
_READERS = 300
_MOST_GROWTH = 60 << 20


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.long)])
async def test_every_opt_out_is_heard_in_a_burst(tmp_path: Path, seconds: int) -> None:
    """F16: ten times as many readers for so long, with the settings as they are: whoever leaves is told 200."""
    ledger = Ledger()
    async with Server(tmp_path / "data", settings={"TRACKER_CONNECTIONS_PER_ADDRESS": "1000"}) as server:
        account = await server.create_account("north")
        async with Load(server, [account], ledger, readers=_READERS // 10) as load:
            await load.grows(by=1_000)
            before = server.memory("VmRSS")
            async with Load(server, [account], ledger, readers=_READERS, leavers=20, seed=2):
                await asyncio.sleep(seconds)
            await load.grows(by=1_000)
        grown = server.memory("VmHWM") - before
        print(f"answers {dict(ledger.answers)}, memory grew by {grown / (1 << 20):.1f} MiB")
        assert {status for kind, status in ledger.answers if kind == "unsubscribed"} == {200}
        assert grown < _MOST_GROWTH
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_overload_is_an_answer(tmp_path: Path) -> None:
    """F16: a burst and then a stall: opens and opt-outs 503, links lead on, nothing acknowledged is lost."""
    ledger = Ledger()
    # All the readers of a test come from one address.
    settings = {"TRACKER_QUEUE_LIMIT": str(_WAITING), "TRACKER_CONNECTIONS_PER_ADDRESS": "1000"}
    async with Server(tmp_path / "data", settings=settings) as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        *_, mail = await make_mails(server, account, ledger, 100)
        before = server.memory("VmRSS")
        async with Load(server, [account], ledger, readers=_READERS, leavers=20) as load:
            await load.answered("opened", 503, more=200)
            await load.grows(by=2_000)
            with locked(server.inbox):
                await load.answered("opened", 503, more=2_000)
            healed_s = await server.health_when(lambda state: state["storage"] == "ok", within_s=10)
            await load.grows(by=2_000)
        grown = server.memory("VmHWM") - before
        print(f"answers {dict(ledger.answers)}")
        print(f"healed {healed_s:.2f} s after the stall, memory grew by {grown / (1 << 20):.1f} MiB")
        assert set(ledger.answers) <= {
            ("message", 201),
            ("opened", 200),
            ("opened", 503),
            ("clicked", 302),
            ("unsubscribed", 200),
            ("unsubscribed", 503),
        }
        assert ledger.unknown == 0
        assert grown < _MOST_GROWTH
        await expect_accepted(server, reader, account, mail)
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)
