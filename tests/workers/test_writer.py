"""Events are durable before anybody is told so; refusals and overload lose nothing in silence."""

import asyncio

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import a_hit, an_opt_out, open_journal
from tests.workers.states import until
from tests.workers.storages import Storage, clicks, hits, is_so, outcomes, writing
from tracker.domain.events import Entry, Hit
from tracker.storage.database import Refused, Unavailable
from tracker.workers.writer import EventWriter, Overloaded

pytestmark = pytest.mark.anyio


async def acknowledges_too_early(kind: type[EventWriter], storage: Storage) -> bool:
    """Whether an entry is acknowledged while its commit has not come back yet."""
    storage.answers.clear()
    async with kind(storage.append, storage.beat) as writer:
        recorded = [writer.record(hit) for hit in hits(3)]
        await until(lambda: bool(storage.calls) or all(one.done() for one in recorded))
        await asyncio.wait(recorded, timeout=0.01)
        early = any(one.done() for one in recorded)
        storage.answers.set()
        await asyncio.gather(*recorded)
    assert len(storage.stored) == 3
    return early


class HastyWriter(EventWriter):
    """A broken twin: it says yes when it has taken an entry, and writes it afterwards."""

    def _enqueue(self, entry: Entry, *, patient: bool) -> asyncio.Future[None]:
        super()._enqueue(entry, patient=patient)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def test_record_is_done_once_the_commit_is(storage: Storage) -> None:
    """What was answered was stored; the check finds out a writer that answers before."""
    assert not await acknowledges_too_early(EventWriter, storage)
    assert await acknowledges_too_early(HastyWriter, Storage())


async def test_what_is_recorded_is_in_the_journal(databases: Databases) -> None:
    """On the real thing: whoever reads after ``record()`` finds it there."""
    journal = await open_journal(databases)
    async with EventWriter(journal.append, journal.beat) as writer:

        async def record_and_look(number: int) -> bool:
            await writer.record(a_hit(occurred_at=number))
            sql = "select id from journal where occurred_at = :at"
            return len(await databases.main.fetch(sql, at=number)) == 1

        assert all(await asyncio.gather(*(record_and_look(number) for number in range(100))))
    assert writer.recorded == {"opened": 100}


async def test_what_arrives_during_a_commit_is_the_next_batch(storage: Storage) -> None:
    """Group commit without a timer: nobody waits for company, and everybody who came meanwhile goes together."""
    storage.answers.clear()
    async with writing(storage) as writer:
        recorded = [writer.record(a_hit())]
        await until(lambda: storage.calls == [1])
        recorded += [writer.record(hit) for hit in hits(57)]
        storage.answers.set()
        await asyncio.gather(*recorded)
        await writer.record(a_hit())
    assert storage.calls == [1, 57, 1]


async def test_batches_have_a_size(storage: Storage) -> None:
    """The order is that of arrival."""
    async with writing(storage, batch_size=10) as writer:
        await asyncio.gather(*(writer.record(hit) for hit in hits(25)))
    assert storage.calls == [10, 10, 5]
    assert storage.stored == hits(25)


async def test_caller_that_is_gone_changes_nothing(storage: Storage) -> None:
    """Its entry is stored, and so are those of the others."""
    storage.answers.clear()
    async with writing(storage) as writer:
        callers = [asyncio.ensure_future(writer.record(hit)) for hit in hits(6)]
        await until(lambda: bool(storage.calls))
        for caller in callers[::2]:
            caller.cancel()
        storage.answers.set()
        assert await outcomes(callers[1::2]) == [None] * 3
    assert storage.stored == hits(6)
    assert writer.recorded == {"opened": 6}


@pytest.mark.parametrize("bad", [{0}, {99}, {50}, {3, 4, 77}, set(range(100))])
async def test_refused_entry_takes_no_other_with_it(storage: Storage, bad: set[int]) -> None:
    """Only refused data splits a batch, by halves, until it is alone."""
    storage.refuses = lambda entry: isinstance(entry, Hit) and entry.occurred_at in bad
    async with writing(storage) as writer:
        told = await outcomes([writer.record(hit) for hit in hits(100)])
        assert not is_so(writer.failing)
    assert told == [Refused if number in bad else None for number in range(100)]
    assert storage.stored == [hit for hit in hits(100) if hit.occurred_at not in bad]
    assert len(storage.calls) <= 1 + 14 * len(bad)
    assert (writer.recorded["opened"], writer.unrecorded["opened"]) == (100 - len(bad), len(bad))


async def test_queue_is_bounded(storage: Storage) -> None:
    """Overload is an answer, given at once; it ends with the next batch that is stored."""
    storage.answers.clear()
    async with writing(storage, most_waiting=10) as writer:
        recorded = [writer.record(a_hit())]
        await until(lambda: storage.calls == [1])
        recorded += [writer.record(hit) for hit in hits(10)]
        assert not is_so(writer.failing)
        excess = [writer.record(hit) for hit in hits(4)]
        assert all(one.done() for one in excess)
        assert [type(one.exception()) for one in excess] == [Overloaded, Unavailable, Unavailable, Unavailable]
        assert is_so(writer.failing)
        storage.answers.set()
        assert await outcomes(recorded) == [None] * 11
        assert not is_so(writer.failing)
        await writer.record(a_hit())
    assert len(storage.stored) == 12
    assert writer.unrecorded == {"opened": 4}


async def test_held_hits_are_turned_away_and_opt_outs_never(storage: Storage) -> None:
    """A journal at its ceiling still takes a person's "no more"."""
    async with writing(storage) as writer:
        writer.hold(True)
        assert is_so(writer.refusing)
        assert not is_so(writer.failing)
        told = await outcomes([writer.record(a_hit()), writer.keep(clicks(1)[0]), writer.record(an_opt_out())])
        assert told == [Overloaded, None, None]
        writer.hold(False)
        assert not is_so(writer.refusing)
        await writer.record(a_hit())
    assert [type(entry).__name__ for entry in storage.stored] == ["OptOut", "Hit"]
    assert writer.recorded == {"unsubscribed": 1, "opened": 1}
    assert writer.unrecorded == {"opened": 1, "clicked": 1}


async def test_closing_writes_what_waits(storage: Storage) -> None:
    """The requests have ended by then, but for those whose reader was sent on."""
    storage.answers.clear()
    async with writing(storage, batch_size=10) as writer:
        recorded = [writer.record(hit) for hit in hits(35)]
        storage.answers.set()
    assert await outcomes(recorded) == [None] * 35
    assert storage.stored == hits(35)
