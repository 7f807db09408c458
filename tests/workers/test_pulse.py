"""Whether the main database can be used, and how far the projector is: known without asking it then."""

import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.databases import FILES_ALONE, Databases
from tests.storage.faults import files_can_grow_no_more
from tests.storage.samples import a_hit, open_journal, pass_by
from tests.workers.states import until
from tracker.storage.database import Broken
from tracker.storage.installation import Files
from tracker.storage.journal import Journal
from tracker.storage.projections import Projected, Projections
from tracker.storage.sqlite import SQLite
from tracker.workers.pulse import Pulse, earliest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def impatient(databases: Databases, tmp_path: Path) -> AsyncIterator[SQLite]:
    """The main file, opened by one who waits for no lock."""
    files = Files(tmp_path / "tracker.db")
    async with SQLite(files.main, attached=files.inbox, patience_ms=10) as main:
        yield main


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another program has begun to write to it."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    yield
    other.execute("rollback")
    other.close()


def now() -> int:
    return time.time_ns() // 1_000_000


async def test_look_says_how_far_the_projector_is(databases: Databases) -> None:
    """Mark, counts, and the age of what is not projected; nothing is known before the first."""
    journal, projections = await open_journal(databases), Projections(databases.main)
    pulse = Pulse(journal, projections)
    assert (pulse.look, pulse.lag_s, pulse.down_since) == (None, None, None)
    await pulse.turn()
    assert pulse.lag_s == 0
    await journal.append([a_hit(occurred_at=now() - 9_000), a_hit(occurred_at=now() + 60_000)])
    await pulse.turn()
    assert pulse.lag_s is not None
    assert 9 <= pulse.lag_s < 60
    await pass_by(databases, 1)
    await pulse.turn()
    assert pulse.look is not None
    assert pulse.look.projected._replace(mark=1) == Projected(mark=1, events=0, dropped=1, refused=0)
    assert pulse.look.projected.mark == await projections.mark()
    assert pulse.lag_s == 0
    assert abs(time.time() - pulse.look.at) < 10


@FILES_ALONE
async def test_file_that_another_program_holds_is_down(
    databases: Databases, impatient: SQLite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it can be read: since the first look that could not write, until one can. The log says both, once."""
    caplog.set_level(logging.WARNING, "tracker")
    pulse, began = Pulse(await open_journal(databases), Projections(impatient)), now()
    with held(tmp_path / "tracker.db"):
        await pulse.turn()
        first = pulse.down_since
        assert first is not None
        assert began <= first <= now()
        assert pulse.main_down_since == first
        assert pulse.lag_s == 0
        await pulse.turn()
        assert pulse.down_since == first
    await pulse.turn()
    assert earliest(pulse.down_since, pulse.main_down_since) is None
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the main database cannot be used",
        "the main database can be used again",
    ]


async def test_nothing_is_known_while_nothing_can_be_read(databases: Databases) -> None:
    """An old number would look like a good one."""
    pulse = Pulse(await open_journal(databases), Projections(databases.main))
    await pulse.turn()
    await databases.main.change("alter table projection rename to hidden")
    await pulse.turn()
    assert (pulse.look, pulse.lag_s) == (None, None)
    assert pulse.down_since is not None


@FILES_ALONE
async def test_journal_broken_by_a_trim_is_down_at_once(databases: Databases) -> None:
    """Long before an event is refused, and for good."""
    journal, projections = await open_journal(databases), Projections(databases.main)
    pulse = Pulse(journal, projections)
    await journal.append([a_hit()])
    began = now()
    with pytest.raises(Broken), files_can_grow_no_more():
        await journal.trim(upto=1)
    assert pulse.down_since is not None
    assert began <= pulse.down_since <= now()
    await pulse.turn()
    assert pulse.down_since is not None
    assert pulse.main_down_since is None


async def test_pulse_goes_on_by_itself_and_outlives_errors(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    """Of any kind: one that died would say for ever that all is well."""
    turns = 0

    class Stumbling(Journal):
        async def oldest(self, *, after: int) -> int | None:
            nonlocal turns
            turns += 1
            if turns in (2, 3):
                raise RuntimeError("a mistake of ours")
            return await super().oldest(after=after)

    pulse = Pulse(Stumbling(databases.inbox), Projections(databases.main), interval_s=0.002)
    async with pulse:
        await until(lambda: turns > 4)
        await until(lambda: pulse.down_since is None and pulse.look is not None)
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_earliest_of_nothing_is_nothing() -> None:
    """And what is there counts."""
    assert (earliest(), earliest(None), earliest(None, 5, 3)) == (None, None, 3)
