"""The worker dies, or stands still: nobody outside notices, and what it left is made up for."""

import signal
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_accepted, expect_led_on, expect_nothing_lost
from tests.server.harness import Server, stopped_worker
from tests.server.ledger import Ledger
from tests.server.load import Client, Load, make_mails

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_DEATHS = 3


async def test_hits_are_accepted_while_the_worker_stands_still(tmp_path: Path) -> None:
    """Opens, clicks and opt-outs are stored, checks answered and messages made; then the worker catches up."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data") as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mail, *_ = await make_mails(server, account, ledger, 1)
        async with Load(server, [account], ledger) as load, stopped_worker(server):
            await server.health_when(lambda state: state["projector_lag_seconds"] > 1, within_s=20)
            await expect_led_on(server, reader, mail)
            await expect_accepted(server, reader, account, mail)
            assert await reader.make_mail(account) is not None
            await load.grows(by=200)
        print(f"caught up {await server.caught_up():.2f} s after the worker went on")
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_hits_are_accepted_while_the_worker_dies_again_and_again(tmp_path: Path) -> None:
    """Each new worker is killed as it starts: /readyz says "degraded", and all else goes on."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data") as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mails = await make_mails(server, account, ledger, _DEATHS)
        async with Load(server, [account], ledger) as load:
            for mail in mails:
                died = server.signal_worker(signal.SIGKILL)
                await server.health_when(lambda state: state["status"] == "degraded", within_s=5)
                await expect_led_on(server, reader, mail)
                await expect_accepted(server, reader, account, mail)
                await load.grows(by=50)
                await server.worker_other_than(died)
        print(f"caught up {await server.caught_up():.2f} s after the load")
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)
