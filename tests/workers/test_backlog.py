"""How far the projector is behind, and what is trimmed behind it."""

import asyncio
import logging
import time
from typing import Any

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, NOW, a_hit, add_accounts, an_opt_out, open_journal, pass_by
from tests.workers.states import until
from tracker.storage.database import Unavailable
from tracker.storage.journal import Journal
from tracker.storage.messages import Messages
from tracker.storage.projections import Projections
from tracker.workers.backlog import Backlog
from tracker.workers.projector import Projector
from tracker.workers.writer import EventWriter, Overloaded

pytestmark = pytest.mark.anyio


class Held:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[bool] = []

    def __call__(self, held: bool) -> None:
        self.told.append(held)


def a_backlog(databases: Databases, journal: Journal, hold: Any = None, **options: Any) -> Backlog:
    return Backlog(journal, Projections(databases.main), hold or Held(), **{"interval_s": 0.002, **options})


async def keys(journal: Journal) -> list[int]:
    return [row["id"] for row in await journal.read(after=0, limit=1_000)]


async def test_only_what_is_projected_is_trimmed(databases: Databases) -> None:
    """What the mark has not passed is in no other place."""
    journal = await open_journal(databases)
    backlog = a_backlog(databases, journal)
    await journal.append([a_hit() for _ in range(6)])
    for mark, left in ((0, [1, 2, 3, 4, 5, 6]), (4, [5, 6]), (4, [5, 6]), (6, [])):
        if mark:
            await pass_by(databases, mark)
        await backlog.turn()
        assert await keys(journal) == left


async def test_ceiling_is_judged_by_what_is_not_projected(databases: Databases) -> None:
    """At the ceiling hits are still taken, above it no more, and below it again."""
    journal, hold = await open_journal(databases), Held()
    backlog = a_backlog(databases, journal, hold, ceiling=3)
    for _ in range(4):
        await journal.append([a_hit()])
        await backlog.turn()
    await pass_by(databases, 1)
    await backlog.turn()
    assert hold.told == [False, False, False, True, False]


async def test_keys_without_rows_fill_no_journal(databases: Databases) -> None:
    """Who opts out a thousand times, from a broken mail program, turns nobody else away."""
    journal, hold = await open_journal(databases), Held()
    backlog = a_backlog(databases, journal, hold, ceiling=3)
    await journal.append([an_opt_out() for _ in range(50)])
    await pass_by(databases, 1)
    await backlog.turn()
    assert hold.told == [False]


async def test_ceiling_turns_hits_away_and_opt_outs_never(databases: Databases) -> None:
    """With the writer that stands before it; all is as before once the projector has gone on."""
    journal = await open_journal(databases)
    async with EventWriter(journal.append, journal.beat) as writer:
        backlog = a_backlog(databases, journal, writer.hold, ceiling=2)
        await asyncio.gather(*(writer.record(a_hit()) for _ in range(3)))
        await backlog.turn()
        with pytest.raises(Overloaded):
            await writer.record(a_hit())
        await writer.record(an_opt_out())
        await pass_by(databases, 4)
        await backlog.turn()
        await writer.record(a_hit())
    assert writer.recorded == {"opened": 4, "unsubscribed": 1}


async def test_wait_ends_when_the_projector_has_passed(databases: Databases) -> None:
    """What was acknowledged before the question can be seen by its answer."""
    await add_accounts(databases, ACCOUNT)
    journal = await open_journal(databases)
    await journal.append([a_hit(), a_hit()])
    asking = asyncio.create_task(a_backlog(databases, journal).caught_up(patience_s=60, poll_s=0.001))
    await asyncio.wait({asking}, timeout=0.02)
    assert not asking.done()
    await pass_by(databases, 1)
    await asyncio.wait({asking}, timeout=0.02)
    assert not asking.done()
    await pass_by(databases, 2)
    assert await asyncio.wait_for(asking, 10) is None


async def test_wait_is_for_what_came_before_it(databases: Databases) -> None:
    """A busy system would otherwise never answer."""
    journal, begun = await open_journal(databases), asyncio.Event()
    reached = journal.reached

    async def noted() -> int:
        head = await reached()
        begun.set()
        return head

    journal.reached = noted  # type: ignore[method-assign]
    await journal.append([a_hit()])
    asking = asyncio.create_task(a_backlog(databases, journal).caught_up(patience_s=60, poll_s=0.001))
    await begun.wait()
    await journal.append([a_hit()])
    await pass_by(databases, 1)
    assert await asyncio.wait_for(asking, 10) is None


async def test_wait_that_was_too_long_says_how_far_behind_it_is(databases: Databases) -> None:
    """The age of what is not projected yet, in seconds."""
    journal = await open_journal(databases)
    await journal.append([a_hit(occurred_at=time.time_ns() // 1_000_000 - 7_000)])
    lag_s = await a_backlog(databases, journal).caught_up(patience_s=0.01, poll_s=0.001)
    assert lag_s is not None
    assert 7 <= lag_s < 60


async def test_nothing_is_waited_for_when_nothing_is_behind(databases: Databases) -> None:
    """On an empty journal, after a restart, and after a trim."""
    journal = await open_journal(databases)
    backlog = a_backlog(databases, journal)
    assert await backlog.caught_up(patience_s=60) is None
    await journal.append([a_hit()])
    await pass_by(databases, 1)
    assert await backlog.caught_up(patience_s=60) is None
    await backlog.turn()
    assert await backlog.caught_up(patience_s=60) is None
    assert await a_backlog(databases, await open_journal(databases)).caught_up(patience_s=60) is None


async def test_opting_out_again_keeps_no_question_waiting(databases: Databases) -> None:
    """It takes a key of the journal and leaves no row, so the projector never passes that key."""
    journal = await open_journal(databases)
    await journal.append([an_opt_out()])
    await pass_by(databases, 1)
    await journal.append([an_opt_out()])
    assert await asyncio.wait_for(a_backlog(databases, journal).caught_up(patience_s=60), 10) is None
    await journal.append([a_hit(), an_opt_out()])
    assert await a_backlog(databases, journal).caught_up(patience_s=0.01) is not None


async def test_lag_is_the_age_of_the_oldest_row_not_projected(databases: Databases) -> None:
    """0 when there is none, and never less, whatever the clock does."""
    journal = await open_journal(databases)
    backlog, now = a_backlog(databases, journal), time.time_ns() // 1_000_000
    assert await backlog.lag_s() == 0
    await journal.append(
        [a_hit(occurred_at=now - 90_000), a_hit(occurred_at=now - 30_000), a_hit(occurred_at=now + 9_000_000)]
    )
    assert 90 <= await backlog.lag_s() < 120
    await pass_by(databases, 1)
    assert 30 <= await backlog.lag_s() < 60
    await pass_by(databases, 2)
    assert await backlog.lag_s() == 0
    await pass_by(databases, 3)
    assert await backlog.lag_s() == 0


async def test_backlog_works_by_itself_and_outlives_an_outage(databases: Databases) -> None:
    """Beside a projector: what it has passed is gone from the journal a moment later."""
    await add_accounts(databases, ACCOUNT)
    journal = await open_journal(databases)
    main = databases.main
    projector = Projector(Journal(main), Messages(main), Projections(main), gather_s=0.002, longest_pause_s=0.01)

    async def journal_is_empty() -> bool:
        return await keys(journal) == []

    async with projector, a_backlog(databases, journal):
        await journal.append([a_hit(occurred_at=NOW + number) for number in range(50)])
        await until(journal_is_empty)
        await main.change("alter table projection rename to hidden")
        with pytest.raises(Unavailable):
            await Projections(main).mark()
        await journal.append([a_hit()])
        await main.change("alter table hidden rename to projection")
        await until(journal_is_empty)
    assert len(await main.fetch("select id from events")) == 51


async def test_error_of_any_kind_does_not_end_the_backlog(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers never die quietly: a journal that nobody trims would fill the disk. The log says so once."""
    caplog.set_level(logging.WARNING, "tracker")
    journal = await open_journal(databases)
    told = Held()

    def stumbles(held: bool) -> None:
        told(held)
        if len(told.told) in (1, 2, 5, 6):
            raise RuntimeError("a mistake of ours")

    await journal.append([a_hit()])
    await pass_by(databases, 1)
    async with a_backlog(databases, journal, stumbles):
        await until(lambda: len(told.told) >= 7)
    assert await keys(journal) == []
    assert len([record for record in caplog.records if "RuntimeError" in record.message]) == 2
