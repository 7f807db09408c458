"""Clients hang up at any point of any request: none of it is half done, and nothing stays behind."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.server.cuts import Asker, Cutter, Noted, cut_off, rows_of_those_who_left
from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import Account, Server, broken, until
from tests.server.ledger import Ledger
from tests.server.load import Client, make_mails
from tests.server.locks import locked
from tests.server.stored import rows_of

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_MAILS, _LEFT = 40, 20
_FREE_WITHIN_S = 5.0
_STEADY = 50
_HITS = {"GET /o/", "GET /c/", "GET /u/", "POST /u/", "GET /p/", "POST /p/"}

_STRANGE_ROWS = """
    select hex(account_id), note from suppressions
    where note is not null and substr(note, 1, 16) <> lower(hex(account_id))
"""
_STRANGE_RECEIVERS = """
    select hex(m.account_id), m.external_id from messages m
    left join recipients r on r.account_id = m.account_id and r.id = m.recipient_id
    where r.id is null
"""


async def askers_of(server: Server, ledger: Ledger) -> list[Asker]:
    """Two accounts, each with mails, of whose readers half have left."""
    return [await _asker(server, await server.create_account(name), ledger) for name in ("north", "south")]


async def _asker(server: Server, account: Account, ledger: Ledger) -> Asker:
    mails = await make_mails(server, account, ledger, _MAILS)
    async with Client(server.port, ledger) as leaver:
        for mail in mails[:_LEFT]:
            await leaver.leave(mail)
    return Asker(account, mails, await rows_of_those_who_left(server.port, account), seed=_MAILS)


def expect_free(server: Server) -> None:
    """No transaction stands open: another process can write to both files."""
    for file in (server.main, server.inbox):
        with locked(file, patience_s=_FREE_WITHIN_S):
            pass


def expect_notes_of(server: Server, noted: Noted) -> None:
    """Rows that customers added: acknowledged <= stored <= sent, each with the account that sent it."""
    assert rows_of(server.inbox, _STRANGE_ROWS) == []
    kept = {note for (note,) in rows_of(server.inbox, "select note from suppressions where note not like '% list'")}
    assert noted.acknowledged <= kept <= noted.sent
    assert rows_of(server.main, _STRANGE_RECEIVERS) == []


async def routes_of(server: Server) -> set[str]:
    """All that its document says it answers, and the links."""
    document = (await server.ask("GET", "/openapi.json")).json()
    return _HITS | {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


async def drained_and_started(server: Server) -> None:
    """Told to end in the middle of it: what is still at work when the time is up is cancelled."""
    server.terminate()
    status, _ = await server.stopped(within_s=20)
    assert status == 0, server.log()
    await server.start()


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_connections_that_are_cut_leave_nothing_half_done(tmp_path: Path, number: int) -> None:
    """F08, F24: every kind of request, cut at random points; the files are free, nothing incomplete is stored, nothing
    acknowledged is lost, no row is another account's, and every descriptor comes back."""
    ledger, noted = Ledger(), Noted()
    async with Server(tmp_path / "data") as server:
        askers = await askers_of(server, ledger)
        cutter = Cutter(server.port, ledger, noted, seed=number)
        await cut_off(cutter, askers, upto=number // 4)
        expect_free(server)
        await drained_while_cut(server, cutter, askers, upto=number // 2)
        usual = await quiet_descriptors(server)
        for part in (3, 4):
            await cut_off(cutter, askers, upto=number * part // 4)
            expect_free(server)
        print(f"cut {dict(cutter.cuts)}, {len(cutter.routes)} kinds, answers {dict(ledger.answers)}")
        assert set(cutter.routes) == await routes_of(server)
        await until(lambda: server.descriptors() <= usual, within_s=30, what="descriptors as before")
        await expect_nothing_lost(server, ledger)
        expect_notes_of(server, noted)
        await expect_a_good_end(server)


async def drained_while_cut(server: Server, cutter: Cutter, askers: Sequence[Asker], *, upto: int) -> None:
    """Cut on while the server ends and starts again."""
    async with asyncio.TaskGroup() as group:
        group.create_task(cut_off(cutter, askers, upto=upto))
        group.create_task(drained_and_started(server))


async def quiet_descriptors(server: Server) -> int:
    """How many it holds when nobody is connected, once it has opened all that it opens once."""
    await server.caught_up()
    seen = [server.descriptors()]

    def steady() -> bool:
        seen.append(server.descriptors())
        return len(seen) > _STEADY and len({*seen[-_STEADY:]}) == 1

    await until(steady, within_s=30, what="as many descriptors for a second")
    return seen[-1]


async def test_transactions_of_requests_that_end_early_are_caught(tmp_path: Path) -> None:
    """F08's control: begun and ended by the request itself, one that is cut leaves the file locked for everybody."""
    ledger = Ledger()
    async with Server(tmp_path / "data", program=broken("writes-in-spans")) as server:
        askers = await askers_of(server, ledger)
        await cut_off(Cutter(server.port, ledger, Noted(), seed=1), askers, upto=300)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            expect_free(server)
