"""The power goes: of what was not synced nothing is left, or any part of it. What was acknowledged is there."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.server.expectations import expect_a_good_end
from tests.server.harness import TRACKER, Server, broken
from tests.server.ledger import KINDS, Fault, Ledger, faults
from tests.server.load import Load
from tests.server.platter import Contents, Disk, laid_out
from tests.server.recording import AccountShown, Answered, Asked, Recording, Step, Synced
from tests.server.stored import Deed, read_stored, rows_of
from tracker.domain.keys import BadKeyring
from tracker.storage.database import BadDatabase, Refused, Stale, Unavailable
from tracker.storage.installation import Files, prepare
from tracker.storage.journal import Journal
from tracker.storage.messages import Messages
from tracker.storage.projections import Projections
from tracker.workers.backlog import Backlog
from tracker.workers.projector import Projector

pytestmark = [pytest.mark.fault, pytest.mark.anyio]


class Cut(NamedTuple):
    """What the power left, and what had been promised until then."""

    contents: Contents
    ledger: Ledger
    account_shown: bool


async def recorded(folder: Path, *, program: Sequence[str] = TRACKER, deeds: int) -> list[Step]:
    """A first start, a load, and a quiet end."""
    recording = Recording(folder, program=program)
    async with recording.server as server:
        if deeds:
            async with Load(server, [recording.account()], Ledger(), readers=4) as load:
                await load.grows(by=deeds)
            await server.caught_up()
        await expect_a_good_end(server)
    return await recording.ended()


def cuts(folder: Path, steps: Sequence[Step], number: int, chance: Random, *, torn: bool) -> Iterator[Cut]:
    """The power goes at so many moments, half of them just before or after a sync; and once at the end."""
    syncs = [place + late for place, step in enumerate(steps) if isinstance(step, Synced) for late in (0, 1)]
    moments = {
        *chance.sample(syncs, min(number // 2, len(syncs))),
        *chance.sample(range(len(steps)), number - number // 2),
    }
    disk, ledger, account_shown = Disk(folder), Ledger(), False
    for place, step in enumerate(steps):
        if place in moments:
            yield Cut(disk.torn(chance) if torn else disk.forgotten(), ledger, account_shown)
        disk.follow(step)
        if isinstance(step, Asked):
            ledger.send(step.deed)
        elif isinstance(step, Answered):
            ledger.answered(step.deed, step.status, step.took_s)
        account_shown = account_shown or isinstance(step, AccountShown)
    yield Cut(disk.torn(chance) if torn else disk.forgotten(), ledger, account_shown)


async def recover(folder: Path) -> None:
    """What a server does when it starts and until it has caught up, in this process."""
    files = Files(folder / "tracker.db")
    await prepare(files, None)
    async with files.main_database() as main, files.inbox_database() as inbox:
        journal, projections = Journal(inbox), Projections(main)
        projector = Projector(Journal(main), Messages(main), projections)
        await journal.open(above=await projections.mark())
        while await projector.turn():
            pass
        await Backlog(journal, projections, lambda _: None).turn()


async def found_wrong(folder: Path, cut: Cut) -> list[Fault]:
    """Start from what is left, and compare with what was promised."""
    files = Files(laid_out(folder, cut.contents) / "tracker.db")
    try:
        await recover(folder)
    except (BadDatabase, BadKeyring) as error:
        return [Fault("refused to start", str(error))]
    except (Unavailable, Refused, Stale) as error:
        return [Fault("stands still", str(error))]
    try:
        if cut.account_shown and not rows_of(files.main, "select id from accounts"):
            return [Fault("lost", "the account")]
        return faults(cut.ledger, read_stored(files.main, files.inbox))
    except sqlite3.DatabaseError as error:
        return [Fault("unreadable", str(error))]


async def served_wrong(folder: Path, cut: Cut) -> list[Fault]:
    """The same, by the server itself."""
    async with Server(laid_out(folder, cut.contents)) as server:
        await server.caught_up()
        await expect_a_good_end(server)
        return faults(cut.ledger, read_stored(server.main, server.inbox))


async def all_found_wrong(tmp_path: Path, program: str, *, deeds: int, torn: bool) -> list[Fault]:
    """What comes out about a broken program."""
    steps = await recorded(tmp_path / "data", program=broken(program), deeds=deeds)
    return [
        fault
        for place, cut in enumerate(cuts(tmp_path / "data", steps, 20, Random(1), torn=torn))
        for fault in await found_wrong(tmp_path / f"cut{place}", cut)
    ]


@pytest.mark.parametrize(
    ("number", "deeds", "served"), [(30, 300, 1), pytest.param(1_000, 4_000, 20, marks=pytest.mark.long)]
)
async def test_nothing_acknowledged_is_lost_when_the_power_goes(
    tmp_path: Path, number: int, deeds: int, served: int
) -> None:
    """F02, F03, F24: from the first start on, at any moment, whichever unsynced sectors arrive."""
    steps, chance, tried = await recorded(tmp_path / "data", deeds=deeds), Random(number), 0
    for torn in (False, True):
        for cut in cuts(tmp_path / "data", steps, number, chance, torn=torn):
            assert await found_wrong(tmp_path / f"cut{tried}", cut) == [], f"cut {tried}"
            shutil.rmtree(tmp_path / f"cut{tried}")
            tried += 1
    for place, cut in enumerate(cuts(tmp_path / "data", steps, served, chance, torn=True)):
        assert await served_wrong(tmp_path / f"served{place}", cut) == []
    at_stake = cut.ledger
    print(f"{tried} cuts in {len(steps)} steps, answers {dict(at_stake.answers)}")
    assert all(at_stake.acknowledged(kind) for kind in KINDS), "the load must have done some of everything"


async def test_commits_that_are_not_synced_are_caught(tmp_path: Path) -> None:
    """F02's control: with ``synchronous=normal`` every kind of deed is found missing."""
    found = await all_found_wrong(tmp_path, "commits-without-a-sync", deeds=200, torn=False)
    lost = {fault.what.kind for fault in found if fault.kind == "lost" and isinstance(fault.what, Deed)}
    assert lost == {*KINDS}


async def test_writing_in_place_is_caught(tmp_path: Path) -> None:
    """F03's control: without a log, half a commit is left in the file, and nothing says how it was before."""
    found = await all_found_wrong(tmp_path, "writes-in-place", deeds=200, torn=True)
    assert {"inconsistent", "unreadable", "stands still"} & {fault.kind for fault in found}


async def test_signing_keys_that_are_not_synced_are_caught(tmp_path: Path) -> None:
    """The control of the first start: an account has its key, and the keys of its links are gone."""
    found = await all_found_wrong(tmp_path, "leaves-its-keys-unsynced", deeds=0, torn=False)
    assert {fault.kind for fault in found} == {"refused to start"}
