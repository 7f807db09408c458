"""Killed without warning, again and again: nothing that was acknowledged is lost, nothing is there twice."""

import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost, wrongly_answered
from tests.server.harness import Account, Server, broken, until
from tests.server.ledger import KINDS, Ledger, faults
from tests.server.load import Load
from tests.server.stored import Deed, read_stored, rows_of

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_FEWEST, _MOST = 50, 1_500
"""Acknowledged deeds from the moment when all is at work until the next kill: a slice of the projector or two."""

Kill = Callable[[Server], Awaitable[float]]


async def kill_server(server: Server) -> float:
    """Kill the server, start it again, and give the seconds until it was ready."""
    server.kill()
    return await server.start()


async def kill_worker(server: Server) -> float:
    """Kill the worker, and give the seconds until the server had started another."""
    old = server.signal_worker(signal.SIGKILL)
    return await server.health_when(
        lambda state: server.worker() not in (None, old) and state["status"] == "ok", within_s=60
    )


async def projecting(server: Server) -> None:
    """Wait until the worker is seen at work: under load it takes a while to start, and dies easily meanwhile."""
    before = mark(server)
    await until(lambda: mark(server) > before, within_s=60, what="a slice of the projector")


def mark(server: Server) -> int:
    """How far the journal is projected."""
    return int(rows_of(server.main, "select mark from projection")[0][0])


async def kill_under_load(
    server: Server, accounts: Sequence[Account], ledger: Ledger, kills: Sequence[Kill]
) -> list[float]:
    """Kill one after the other, at random moments, and give the seconds each took to be back."""
    chance, back_after_s = random.Random(len(kills)), []
    async with Load(server, accounts, ledger) as load:
        for kill in kills:
            await projecting(server)
            await load.grows(by=chance.randrange(_FEWEST, _MOST))
            back_after_s.append(await kill(server))
        await load.grows(by=_FEWEST)
    return back_after_s


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.long)])
async def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path, kills: int) -> None:
    """F01, F24: after kills of server and worker all that was acknowledged is there once, and all numbers agree."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        accounts = [await server.create_account(name) for name in ("north", "south")]
        back_after_s = await kill_under_load(server, accounts, ledger, [kill_server, kill_worker] * (kills // 2))
        caught_up_s = await server.caught_up()
        print(f"answers {dict(ledger.answers)}, unknown {ledger.unknown}")
        print(f"back after {[round(s, 2) for s in back_after_s]} s, caught up {caught_up_s:.2f} s after the load")
        assert all(ledger.acknowledged(kind) for kind in KINDS), "the load must have done some of everything"
        await expect_nothing_lost(server, ledger)
        assert await wrongly_answered(server, accounts, ledger) == []
        await expect_a_good_end(server)


async def test_what_follows_a_kill_at_a_quiet_hour_is_seen(tmp_path: Path) -> None:
    """The journal is empty then, and says nothing of the keys it has given: new ones must not be taken for old."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        accounts = [await server.create_account("north")]
        for _ in range(2):
            async with Load(server, accounts, ledger) as load:
                await load.grows(by=_FEWEST)
            await until(lambda: rows_of(server.inbox, "select id from journal") == [], within_s=30, what="trimming")
            await kill_server(server)
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_a_writer_that_answers_before_the_commit_is_caught(tmp_path: Path) -> None:
    """F01's control: with a second between answer and commit, opens, clicks and opt-outs are found missing."""
    ledger = Ledger()
    async with Server(tmp_path / "data", program=broken("answers-before-the-commit")) as server:
        accounts = [await server.create_account("north")]
        await kill_under_load(server, accounts, ledger, [kill_server] * 2)
        await server.caught_up()
        found = faults(ledger, read_stored(server.main, server.inbox))
        lost = {fault.what.kind for fault in found if fault.kind == "lost" and isinstance(fault.what, Deed)}
        assert lost == {"opened", "clicked", "unsubscribed"}
        assert await wrongly_answered(server, accounts, ledger) != []


async def test_a_projector_that_moves_its_mark_later_is_caught(tmp_path: Path) -> None:
    """F01's second control: killed between its events and its mark, it makes the same events again."""
    ledger = Ledger()
    async with Server(tmp_path / "data", program=broken("moves-its-mark-later")) as server:
        accounts = [await server.create_account("north")]
        async with Load(server, accounts, ledger) as load:
            await until(lambda: rows_of(server.main, "select id from events") != [], within_s=60, what="an event")
            await kill_worker(server)
            await load.grows(by=_FEWEST)
        await server.caught_up()
        found = faults(ledger, read_stored(server.main, server.inbox))
        assert "twice" in {fault.kind for fault in found}
