"""Makes events durable, many per transaction."""

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Self

from ..domain.events import Entry, Hit
from ..storage.database import Broken, Refused, Unavailable, reason, unforeseen

log = logging.getLogger(__name__)


class Overloaded(Unavailable):
    """More events wait to be written than the writer will hold."""


class _Waiting(NamedTuple):
    entry: Entry
    done: asyncio.Future[None]
    patient: bool


class EventWriter:
    """Group commit: whatever arrives while one batch commits is the next batch.

    ``record()`` returns once its event is on stable storage, so a caller that answers afterwards never
    acknowledges an event that a crash could lose. ``append`` makes a batch durable or raises; ``beat`` writes
    something of no meaning, and is asked after an outage until it succeeds.
    """

    def __init__(
        self,
        append: Callable[[Sequence[Entry]], Awaitable[None]],
        beat: Callable[[], Awaitable[None]],
        *,
        batch_size: int = 256,
        most_waiting: int = 10_000,
        patience_s: float = 3.0,
        retry_s: float = 0.25,
    ) -> None:
        self._append = append
        self._beat = beat
        self._batch_size = batch_size
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._retry_s = retry_s
        self._queue: deque[_Waiting] = deque()
        self._retained: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self.failing = False
        """Whether storage takes no events: from a batch that failed or a full queue to the next success."""
        self.failing_since: int | None = None
        """The first moment of that, in Unix milliseconds."""
        self.broken = False
        """Whether only a restart can help."""
        self._held = False
        self.recorded: Counter[str] = Counter()
        self.unrecorded: Counter[str] = Counter()
        self.commits = 0
        self.commit_s = 0.0
        """How many batches were stored, and the seconds that took in all."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="event writer")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing = True
        self._arrived.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def record(self, entry: Entry) -> asyncio.Future[None]:
        """Await it: it is done once the entry is durable. Raises ``Unavailable`` when it could not be stored,
        and ``Refused`` when it cannot be."""
        return self._enqueue(entry, patient=False)

    def keep(self, entry: Entry) -> asyncio.Future[None]:
        """As ``record``, for one who will not be told: in an outage it is done at once, and the entry waits
        for the end of the outage as long as there is room."""
        return self._enqueue(entry, patient=True)

    @property
    def refusing(self) -> bool:
        """Whether a hit that comes now would be turned away."""
        return self.failing or self._held

    @property
    def held(self) -> bool:
        """Whether the journal stands at its ceiling."""
        return self._held

    @property
    def waiting(self) -> int:
        """How many entries wait for a commit to begin."""
        return len(self._queue)

    @property
    def retained(self) -> int:
        """How many entries wait for the end of an outage."""
        return len(self._retained)

    @property
    def most_waiting(self) -> int:
        """How many of either there may be."""
        return self._most_waiting

    def hold(self, held: bool) -> None:
        """Turn hits away while the journal stands at its ceiling; opt-outs never are."""
        self._held = held

    def _enqueue(self, entry: Entry, *, patient: bool) -> asyncio.Future[None]:
        done = self._loop.create_future()
        waiting = _Waiting(entry, done, patient)
        if self.failing:
            self._disappoint(waiting, Unavailable("storage is failing: try again later"))
        elif self._held and isinstance(entry, Hit):
            self._drop(waiting, Overloaded("the journal is full: the projector has fallen behind"))
        elif len(self._queue) >= self._most_waiting:
            self._fail()
            self._disappoint(waiting, Overloaded("too many events wait to be written"))
        else:
            self._queue.append(waiting)
            self._arrived.set()
        return done

    def _fail(self) -> None:
        if not self.failing:
            self.failing, self.failing_since = True, time.time_ns() // 1_000_000

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch = [self._queue.popleft() for _ in range(min(self._batch_size, len(self._queue)))]
            try:
                await self._write(batch)
            except Exception as error:  # noqa: BLE001 - the writer outlives whatever storage does
                if self._closing:
                    self._abandon(error)
                else:
                    await self._recover(error)

    async def _write(self, batch: list[_Waiting]) -> None:
        late = asyncio.get_running_loop().call_later(self._patience_s, self._give_up, batch)
        began = time.perf_counter()
        try:
            await self._append([waiting.entry for waiting in batch])
        except Refused as error:
            await self._halve(batch, error)
        except Exception as error:
            for waiting in batch:
                self._disappoint(waiting, error)
            raise
        else:
            self.commits += 1
            self.commit_s += time.perf_counter() - began
            self._acknowledge(batch)
        finally:
            late.cancel()

    async def _halve(self, batch: list[_Waiting], error: Refused) -> None:
        """One entry that cannot be stored must not take the others with it."""
        if len(batch) == 1:
            log.error("an event was refused by the database: %s", reason(error))
            self._drop(batch[0], error)
            # To refuse is to answer, even if it came late.
            self._resume()
            return
        middle = len(batch) // 2
        try:
            await self._write(batch[:middle])
        except Exception as outage:
            for waiting in batch[middle:]:
                self._disappoint(waiting, outage)
            raise
        await self._write(batch[middle:])

    def _acknowledge(self, batch: list[_Waiting]) -> None:
        self._resume()
        self.recorded.update([_type(waiting.entry) for waiting in batch])
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_result(None)

    def _give_up(self, batch: list[_Waiting]) -> None:
        """Storage neither succeeds nor fails: those who wait are told, and what they brought may still be stored."""
        self._fail()
        for waiting in (*batch, *self._queue):
            _settle(waiting, Unavailable("storage is slow: try again later"))

    def _disappoint(self, waiting: _Waiting, error: Exception) -> None:
        """Tell the one who waits; what a patient one brought is kept for later."""
        if waiting.patient and not self.broken and len(self._retained) < self._most_waiting:
            self._retained.append(waiting)
            _settle(waiting, error)
        else:
            self._drop(waiting, error)

    def _drop(self, waiting: _Waiting, error: Exception) -> None:
        self.unrecorded[_type(waiting.entry)] += 1
        _settle(waiting, error)

    async def _recover(self, error: Exception) -> None:
        """Wait until storage takes writes again; after a failed write or fsync it never does."""
        self._fail()
        log.error("storage does not take events: %s", reason(error), exc_info=unforeseen(error))
        while not isinstance(error, Broken):
            self._fail_queue(error)
            await asyncio.sleep(self._retry_s)
            try:
                await self._beat()
            except Exception as failure:  # noqa: BLE001 - the writer outlives whatever storage does
                error = failure
            else:
                log.warning("storage takes events again")
                return self._resume()
            if self._closing:
                return self._abandon(error)
        self.broken = True
        log.critical("a write to the journal failed: no event is acknowledged until this server is restarted")
        return self._abandon(error)

    def _resume(self) -> None:
        self.failing, self.failing_since = False, None
        if self._retained:
            self._queue.extend(self._retained)
            self._retained.clear()

    def _fail_queue(self, error: Exception) -> None:
        waiting, self._queue = self._queue, deque()
        for one in waiting:
            self._disappoint(one, error)

    def _abandon(self, error: Exception) -> None:
        lost = [*self._queue, *self._retained]
        self._queue.clear()
        self._retained.clear()
        for waiting in lost:
            self._drop(waiting, error)
        if lost:
            log.error("%d events could not be recorded", len(lost))


def _settle(waiting: _Waiting, error: Exception) -> None:
    if waiting.done.done():
        return
    if waiting.patient:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(error)


def _type(entry: Entry) -> str:
    return entry.type if isinstance(entry, Hit) else entry.hit.type
