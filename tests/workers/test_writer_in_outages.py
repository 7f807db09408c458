"""While storage fails, everybody is told at once; afterwards nothing that was acknowledged is missing."""

import asyncio
import logging
import random
import time

import pytest

from tests.storage.samples import a_hit, an_opt_out
from tests.workers.states import until
from tests.workers.storages import DOWN, Storage, clicks, hits, is_so, outcomes, writing
from tracker.domain.events import Entry, Hit
from tracker.storage.database import Broken, Unavailable

pytestmark = pytest.mark.anyio


async def test_outage_fails_a_batch_at_once(storage: Storage) -> None:
    """One call: to try each half of it would take as many time-outs as there are entries."""
    storage.fails(DOWN)
    async with asyncio.timeout(5), writing(storage, retry_s=60, batch_size=10) as writer:
        # Those who wait behind it are told with it.
        assert await outcomes([writer.record(hit) for hit in hits(100)]) == [Unavailable] * 100
        assert storage.calls == [10]
        # Those that come now are told at once, without a call.
        assert await outcomes([writer.record(hit) for hit in hits(5)]) == [Unavailable] * 5
        assert storage.calls == [10]
        writer._task.cancel()
    assert writer.unrecorded == {"opened": 105}


@pytest.mark.parametrize("call", [2, 3])
async def test_outage_amid_halving_fails_the_rest_at_once(storage: Storage, call: int) -> None:
    """What was stored before it stays stored and acknowledged."""

    def refuses_then_fails(entry: Entry) -> bool:
        if len(storage.calls) == call:
            raise DOWN
        return isinstance(entry, Hit) and entry.occurred_at == 7

    storage.refuses = refuses_then_fails
    stored = 4 if call == 3 else 0
    async with asyncio.timeout(5), writing(storage) as writer:
        told = await outcomes([writer.record(hit) for hit in hits(8)])
        assert told == [None] * stored + [Unavailable] * (8 - stored)
        await until(lambda: not writer.failing)
    assert storage.calls == [8, 4, 4][:call]
    assert storage.stored == hits(stored)


async def test_outage_that_shows_itself_twice_began_the_first_time(storage: Storage) -> None:
    """Storage is slow at first, and then it fails."""
    async with writing(storage, patience_s=0.002) as writer:
        storage.answers.clear()
        with pytest.raises(Unavailable):
            await writer.record(a_hit())
        since = writer.failing_since
        assert since is not None
        await until(lambda: time.time_ns() // 1_000_000 > since + 1)
        storage.fails(DOWN)
        storage.answers.set()
        await until(lambda: storage.beats > 0)
        assert writer.failing_since == since
        storage.fails(None)


async def test_failing_lasts_from_the_first_failure_to_the_next_success(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    """It heals by itself: storage is asked until it answers, and then takes events again. The log says both, once."""
    caplog.set_level(logging.WARNING, "tracker")
    async with writing(storage) as writer:
        await writer.record(a_hit())
        assert not is_so(writer.failing)
        storage.fails(DOWN)
        with pytest.raises(Unavailable):
            await writer.record(a_hit())
        assert is_so(writer.failing)
        assert is_so(writer.refusing)
        since = [writer.failing_since]
        await until(lambda: storage.beats >= 3)
        with pytest.raises(Unavailable):
            await writer.record(a_hit())
        assert is_so(writer.failing)
        since.append(writer.failing_since)
        storage.fails(None)
        await until(lambda: not writer.failing)
        await writer.record(a_hit())
        assert not is_so(writer.broken)
        since.append(writer.failing_since)
        assert writer.commits == 2
        assert writer.commit_s > 0
    assert since[0] is not None
    assert since == [since[0], since[0], None]
    assert len(storage.stored) == 2
    assert [record.message for record in caplog.records] == [
        f"storage does not take events: {DOWN}",
        "storage takes events again",
    ]


async def test_clicks_outlive_an_outage(storage: Storage) -> None:
    """The reader is led on at once, and the click is stored when storage is back, once."""
    storage.fails(DOWN)
    async with writing(storage) as writer:
        await asyncio.wait_for(asyncio.gather(*(writer.keep(click) for click in clicks(3))), 5)
        await until(lambda: writer.failing)
        await asyncio.wait_for(writer.keep(a_hit(type="clicked", occurred_at=3)), 5)
        assert (writer.recorded, writer.unrecorded) == ({}, {})
        storage.fails(None)
        await until(lambda: writer.recorded == {"clicked": 4})
    assert storage.stored == clicks(4)
    assert writer.unrecorded == {}


async def test_clicks_kept_in_an_outage_have_a_limit(storage: Storage) -> None:
    """Beyond it they are counted as unrecorded, and the reader is led on all the same."""
    storage.fails(DOWN)
    async with writing(storage, most_waiting=5) as writer:
        for click in clicks(8):
            await asyncio.wait_for(writer.keep(click), 5)
        assert writer.unrecorded == {"clicked": 3}
        storage.fails(None)
        await until(lambda: writer.recorded == {"clicked": 5})
    assert storage.stored == clicks(5)


async def test_after_a_broken_write_nothing_is_acknowledged(storage: Storage) -> None:
    """R6: not even if writing seems to work again; readers are led on, and what they did is counted."""
    async with writing(storage) as writer:
        storage.fails(Broken("SQLITE_IOERR_FSYNC: disk I/O error"))
        clicked = [writer.keep(click) for click in clicks(2)]
        assert await outcomes([*clicked, writer.record(a_hit())]) == [None, None, Broken]
        await until(lambda: writer.broken)
        storage.fails(None)
        assert await outcomes([writer.keep(click) for click in clicks(3)]) == [None] * 3
        for entry in (a_hit(), an_opt_out()):
            with pytest.raises(Unavailable):
                await writer.record(entry)
        assert is_so(writer.failing)
        assert (storage.calls, storage.beats) == ([3], 0)
    assert storage.stored == []
    assert writer.unrecorded == {"opened": 2, "clicked": 5, "unsubscribed": 1}


async def test_those_who_wait_behind_a_broken_write_are_told(storage: Storage) -> None:
    """And nothing of theirs is tried any more."""
    storage.fails(Broken("SQLITE_IOERR_WRITE: disk I/O error"))
    async with writing(storage, batch_size=2) as writer:
        waiting = [*(writer.record(hit) for hit in hits(5)), *(writer.keep(click) for click in clicks(3))]
        told = await asyncio.wait_for(outcomes(waiting), 5)
        assert told == [Broken] * 5 + [None] * 3
        storage.fails(None)
    assert (storage.calls, storage.stored) == ([2], [])
    assert writer.unrecorded == {"opened": 5, "clicked": 3}


async def test_storage_that_breaks_while_it_is_asked_again_is_broken(storage: Storage) -> None:
    """The clicks that were kept for later are counted then."""
    storage.fault, storage.fault_of_beat = DOWN, Broken("SQLITE_IOERR_WRITE: disk I/O error")
    async with writing(storage) as writer:
        await writer.keep(clicks(1)[0])
        await until(lambda: writer.broken)
        assert writer.unrecorded == {"clicked": 1}


async def test_slow_storage_is_an_outage_to_those_who_wait(storage: Storage) -> None:
    """They are told after a while; what they brought may still be stored, and then counts as such."""
    storage.answers.clear()
    async with writing(storage, patience_s=0.02) as writer:
        waiting = [writer.record(a_hit())]
        await until(lambda: storage.calls == [1])
        waiting += [writer.record(a_hit()), writer.keep(clicks(1)[0])]
        assert await asyncio.wait_for(outcomes(waiting), 5) == [Unavailable, Unavailable, None]
        assert is_so(writer.failing)
        assert await outcomes([writer.record(a_hit()), writer.keep(clicks(1)[0])]) == [Unavailable, None]
        storage.answers.set()
        await until(lambda: writer.recorded.total() == 4)
        assert not is_so(writer.failing)
    assert writer.recorded == {"opened": 2, "clicked": 2}
    assert writer.unrecorded == {"opened": 1}


async def test_refusal_that_comes_late_ends_the_outage_too(storage: Storage) -> None:
    """Otherwise nothing would ever be asked of storage again."""
    storage.answers.clear()
    storage.refuses = lambda _: True
    async with writing(storage, patience_s=0.02) as writer:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(writer.record(a_hit()), 5)
        storage.answers.set()
        await until(lambda: not writer.failing)
        storage.refuses = lambda _: False
        await writer.record(a_hit())
    assert (writer.recorded["opened"], writer.unrecorded["opened"]) == (1, 1)


async def test_closing_in_an_outage_ends_and_counts(storage: Storage) -> None:
    """Nobody waits for storage for ever; what could not be kept is in the count."""
    storage.fails(DOWN)
    async with asyncio.timeout(5), writing(storage) as writer:
        for click in clicks(3):
            await writer.keep(click)
        await until(lambda: storage.beats > 1)
    assert writer.unrecorded == {"clicked": 3}
    assert writer.recorded == {}


async def test_closing_ends_where_little_can_be_written_and_much_cannot(storage: Storage) -> None:
    """So it is with a full disk: the beat succeeds, and no batch does."""
    storage.fault = Unavailable("SQLITE_FULL: database or disk is full")
    async with asyncio.timeout(5), writing(storage) as writer:
        for click in clicks(3):
            await writer.keep(click)
        await until(lambda: storage.beats > 1)
    assert writer.unrecorded == {"clicked": 3}


async def test_closing_stores_clicks_once_storage_is_back(storage: Storage) -> None:
    """The last chance is used."""
    storage.fails(DOWN)
    async with writing(storage, retry_s=0.05) as writer:
        await writer.keep(clicks(1)[0])
        await until(lambda: writer.failing)
        storage.fails(None)
    assert storage.stored == clicks(1)


async def test_error_of_any_kind_does_not_end_the_writer(storage: Storage) -> None:
    """Workers never die quietly."""
    async with writing(storage) as writer:
        storage.fails(RuntimeError("a mistake of ours"))
        with pytest.raises(RuntimeError):
            await writer.record(a_hit())
        storage.fails(None)
        await until(lambda: not writer.failing)
        await writer.record(a_hit())


@pytest.mark.parametrize("seed", range(6))
async def test_ledger_is_right_whatever_storage_does(storage: Storage, seed: int) -> None:
    """A4.9: recorded and unrecorded are all there were; acknowledged is stored; nothing is stored twice."""
    chance, asked = random.Random(seed), list[tuple[Hit, asyncio.Future[None], bool]]()
    storage.refuses = lambda entry: isinstance(entry, Hit) and entry.occurred_at % 41 == 0
    async with writing(storage, most_waiting=30, batch_size=8, patience_s=0.004, retry_s=0.001) as writer:
        for number in range(600):
            patient = chance.random() < 0.5
            hit = a_hit(type="clicked" if patient else "opened", occurred_at=number)
            asked.append((hit, (writer.keep if patient else writer.record)(hit), patient))
            if chance.random() < 0.05:
                storage.fails(chance.choice([None, None, DOWN]))
            if chance.random() < 0.05:
                writer.hold(chance.random() < 0.2)
            if chance.random() < 0.1:
                chance.choice([storage.answers.set, storage.answers.clear])()
            if chance.random() < 0.3:
                await asyncio.wait([future for _, future, _ in asked[-3:]], timeout=0.002 * chance.random())
        storage.fails(None)
        storage.answers.set()
    told = await outcomes([future for _, future, _ in asked])
    stored = [entry.occurred_at for entry in storage.stored if isinstance(entry, Hit)]
    assert len(set(stored)) == len(stored)
    acknowledged = {
        hit.occurred_at for (hit, _, patient), error in zip(asked, told, strict=True) if error is None and not patient
    }
    assert acknowledged <= set(stored)
    assert writer.recorded.total() == len(stored)
    assert writer.recorded.total() + writer.unrecorded.total() == 600
    assert {error for (_, _, patient), error in zip(asked, told, strict=True) if patient} == {None}
    assert 0 < len(stored) < 600
