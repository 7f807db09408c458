"""Killed while it erases, again and again, with everybody at work: what was deleted is gone, and nothing else."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.server.expectations import expect_a_good_end, wrongly_answered
from tests.server.harness import Account, Server, broken, until
from tests.server.ledger import Ledger, faults
from tests.server.load import Client, Load, Mail
from tests.server.stored import read_stored, rows_of
from tests.server.test_kill import kill_server, kill_worker, projecting

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

DOOMED = "doomed"
_MAILS, _EARLY_LEAVERS, _LATE_LEAVERS = 40, 5, 5
_EVENTS = 10_000
"""Some twenty slices."""


async def a_large_campaign(server: Server, account: Account, ledger: Ledger, gone: Ledger) -> list[Mail]:
    """Its mails are in ``ledger``, since they stay; what became of them is in ``gone``."""
    mails: list[Mail] = []
    async with Client(server.port, ledger) as mailer, Client(server.port, gone) as reader:
        while len(mails) < _MAILS:
            mail = await mailer.make_mail(account, DOOMED)
            assert mail is not None
            mails.append(mail)
            await reader.open(mail)
            await reader.click(mail)
        for mail in mails[:_EARLY_LEAVERS]:
            await reader.leave(mail)
    await server.caught_up()
    await server.stop()
    _open_many_times(server)
    await server.start()
    await server.caught_up(within_s=120)
    assert left(server) > _EVENTS
    return mails


def _open_many_times(server: Server) -> None:
    """As if the readers of the campaign had come by the thousand while nobody projected."""
    mails = rows_of(server.main, "select account_id, id, created_at from messages where campaign = ?", DOOMED)
    mark = int(rows_of(server.main, "select mark from projection")[0][0])
    hits = [(mark + 1 + number, *mails[number % len(mails)], "an opener") for number in range(_EVENTS)]
    insert = (
        "insert into journal (id, account_id, message_id, occurred_at, user_agent, type, prefetch)"
        " values (?, ?, ?, ?, ?, 'opened', 0)"
    )
    with closing(sqlite3.connect(server.inbox)) as inbox:
        inbox.executemany(insert, hits)
        inbox.commit()


def left(server: Server) -> int:
    """How many events of the deleted campaign are stored."""
    return int(rows_of(server.main, "select count(*) from events where campaign = ?", DOOMED)[0][0])


def erasing(server: Server) -> bool:
    return bool(rows_of(server.main, "select 1 from campaign_deletions where erasing = 1"))


@asynccontextmanager
async def reading(server: Server, mails: Sequence[Mail], gone: Ledger) -> AsyncIterator[None]:
    """Somebody follows the links of the deleted campaign all the time, and is led on."""
    ended = False

    async def read() -> None:
        async with Client(server.port, gone) as reader:
            while not ended:
                for mail in mails:
                    await reader.open(mail)
                    await reader.click(mail)
                    await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        yield
        ended = True


async def delete(server: Server, account: Account) -> None:
    """Until it is answered with 204, or 404 by a server that was killed before it could answer."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = await server.ask("DELETE", f"/v1/campaigns/{DOOMED}", headers=account.authorization)
        if answer.status == 204:
            return
        assert answer.status == 503, answer
    raise TimeoutError("nobody deletes")


async def feed(server: Server, account: Account) -> list[dict[str, Any]]:
    """All of it so far, as a customer reads it: while others are at work it never ends."""
    owner = bytes.fromhex(account.id)
    last = int(rows_of(server.main, "select sequence from accounts where id = ?", owner)[0][0])
    entries: list[dict[str, Any]] = []
    while len(entries) < last:
        query = f"after={entries[-1]['sequence'] if entries else 0}&limit=1000"
        answer = await server.ask("GET", f"/v1/events/feed?{query}", headers=account.authorization)
        assert answer.status == 200, answer
        entries += answer.json()["data"]
    return entries


async def expect_hidden(server: Server, account: Account) -> None:
    """The list of the campaign is empty, however many of its events are stored."""
    answer = await server.ask("GET", f"/v1/events?campaign={DOOMED}", headers=account.authorization)
    assert answer.json() == {"data": [], "next_cursor": None}


def expect_a_whole_feed(entries: Sequence[dict[str, Any]]) -> None:
    """No number is missing, and nothing of the deleted campaign is shown."""
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    assert {entry["campaign"] for entry in entries if entry["type"] != "erased"} <= {"spring-sale", None}


async def leave_late(server: Server, mails: Sequence[Mail], ledger: Ledger) -> None:
    """Whoever opts out by a mail of the deleted campaign."""
    async with Client(server.port, ledger) as reader:
        for mail in mails:
            answer = await reader.leave(mail)
            assert answer is not None
            assert answer.status == 200


@pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.long)])
async def test_deleted_campaign_is_erased_whoever_is_killed(tmp_path: Path, kills: int) -> None:
    """F01, F24: hidden from the answer on, and in the end nothing of it is stored; every other number is exact."""
    ledger, gone = Ledger(), Ledger()
    async with Server(tmp_path / "data") as server:
        north, south = [await server.create_account(name) for name in ("north", "south")]
        mails = await a_large_campaign(server, north, ledger, gone)
        async with Load(server, [north, south], ledger) as load, reading(server, mails, gone):
            await projecting(server)
            await delete(server, north)
            await expect_hidden(server, north)
            stored, met = [left(server)], 0
            for kill in [kill_server, kill_worker] * (kills // 2):
                await until(lambda: left(server) < stored[-1] or not erasing(server), within_s=60, what="erasing")
                met += erasing(server)
                await kill(server)
                stored.append(left(server))
                await expect_hidden(server, north)
            await leave_late(server, mails[-_LATE_LEAVERS:], ledger)
            erased_s = await until(lambda: not erasing(server), within_s=120, what="the end of erasing")
            await load.grows(by=50)
        await server.caught_up()
        print(f"events left after each kill {stored}, {met} kills while erasing, the end after {erased_s:.1f} s more")
        assert met >= 2, "it must have been killed while it erased"
        assert faults(ledger, read_stored(server.main, server.inbox)) == []
        entries = await feed(server, north)
        expect_a_whole_feed(entries)
        assert sum(entry["type"] == "erased" for entry in entries) >= 2 * _EVENTS
        assert sum(entry.get("campaign", "") is None for entry in entries) == _LATE_LEAVERS
        ledger.may_hold(gone)
        assert await wrongly_answered(server, [north, south], ledger) == []
        await expect_a_good_end(server)


async def test_erasing_step_by_step_is_caught(tmp_path: Path) -> None:
    """The control: killed between its rows and their entries of the feed, it leaves numbers that stand for nothing."""
    ledger, gone = Ledger(), Ledger()
    async with Server(tmp_path / "data", program=broken("erases-step-by-step")) as server:
        north = await server.create_account("north")
        await a_large_campaign(server, north, ledger, gone)
        before = left(server)
        await delete(server, north)
        await until(lambda: left(server) < before, within_s=60, what="erasing")
        await kill_worker(server)
        await server.caught_up()
        found = read_stored(server.main, server.inbox).inconsistencies
        assert [one for one in found if one.startswith("numbers with holes")], found
