"""Storage fails while the server runs: the reader is led on, nothing is promised that is not kept, and it heals."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.server.expectations import (
    expect_a_good_end,
    expect_accepted,
    expect_led_on,
    expect_no_message,
    expect_nothing_lost,
    expect_nothing_promised,
)
from tests.server.filler import Filler
from tests.server.harness import Server
from tests.server.ledger import Ledger
from tests.server.load import Client, Load, make_mails
from tests.server.locks import locked

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_HEALED_WITHIN_S = 10.0


def well(state: dict[str, Any]) -> bool:
    """Whether ``/readyz`` has nothing to complain of."""
    return bool(state["status"] == "ok" and state["storage"] == "ok")


@pytest.mark.parametrize("seconds", [0, pytest.param(30, marks=pytest.mark.long)])
async def test_links_lead_on_while_the_inbox_is_locked(tmp_path: Path, seconds: int) -> None:
    """F07: pixel and opt-out 503, links 302; once the lock is gone all is well again, and the clicks are recorded."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data") as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mail, other = await make_mails(server, account, ledger, 2)
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            with locked(server.inbox):
                await server.health_when(lambda state: state["status"] == "degraded", within_s=10)
                await expect_led_on(server, reader, mail)
                await expect_nothing_promised(server, reader, mail)
                assert await reader.check(account, [mail.name]) == [True]
                await asyncio.sleep(seconds)
            healed_s = await server.health_when(well, within_s=_HEALED_WITHIN_S)
            print(f"healed {healed_s:.2f} s after the inbox was free")
            async with Client(server.port, ledger) as later:
                await expect_accepted(server, later, account, other)
            await load.grows(by=200)
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_hits_are_accepted_while_the_main_file_is_locked(tmp_path: Path) -> None:
    """Opens, clicks and opt-outs go on, checks are answered, messages wait; then the projector catches up."""
    ledger = Ledger(outlived=True)
    async with Server(tmp_path / "data") as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mail, other = await make_mails(server, account, ledger, 2)
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            with locked(server.main):
                await expect_led_on(server, reader, mail)
                await expect_accepted(server, reader, account, mail)
                await expect_no_message(server, account)
                await server.health_when(lambda state: state["projector_lag_seconds"] > 2, within_s=20)
                await load.grows(by=200)
            assert await reader.make_mail(account) is not None
            await expect_accepted(server, reader, account, other)
        print(f"caught up {await server.caught_up():.2f} s after the main file was free")
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_a_full_disk_loses_nothing_and_heals(small_disk: Path) -> None:
    """F05: nothing is acknowledged that is not stored; with space again all is well, without a restart."""
    ledger, filler = Ledger(outlived=True), Filler(small_disk)
    async with Server(small_disk) as server, Client(server.port, ledger) as reader:
        account = await server.create_account("north")
        mail, other = await make_mails(server, account, ledger, 2)
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            await disk_runs_full(server, filler)
            await expect_led_on(server, reader, mail)
            await expect_nothing_promised(server, reader, mail)
            await expect_no_message(server, account)
            assert await reader.check(account, [mail.name]) == [True]
            await server.health_when(lambda state: state["projector_lag_seconds"] > 2, within_s=20)
            filler.free()
            healed_s = await server.health_when(well, within_s=_HEALED_WITHIN_S)
            await expect_accepted(server, reader, account, other)
            await load.grows(by=200)
        caught_up_s = await server.caught_up()
        print(f"answers {dict(ledger.answers)}")
        print(f"healed {healed_s:.2f} s after there was space, caught up {caught_up_s:.2f} s after the load")
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def disk_runs_full(server: Server, filler: Filler) -> None:
    """Fill the disk until nothing can be stored: what is freed by checkpoints and by trimming is taken too."""

    def down(state: dict[str, Any]) -> bool:
        filler.fill()
        return bool(state["storage"] != "ok")

    await server.health_when(down, within_s=30)
