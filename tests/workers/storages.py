"""Storage that does as it is told, and a writer before it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.storage.samples import a_hit
from tracker.domain.events import Entry, EventType, Hit
from tracker.storage.database import Refused, Unavailable
from tracker.workers.writer import EventWriter

DOWN = Unavailable("SQLITE_BUSY: database is locked")


class Storage:
    """An ``append`` and a ``beat`` that do as they are told, and remember what they were asked."""

    def __init__(self) -> None:
        self.stored: list[Entry] = []
        self.calls: list[int] = []
        self.beats = 0
        self.fault: Exception | None = None
        self.fault_of_beat: Exception | None = None
        self.refuses: Callable[[Entry], bool] = lambda _: False
        self.answers = asyncio.Event()
        self.answers.set()

    async def append(self, entries: Sequence[Entry]) -> None:
        self.calls.append(len(entries))
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        if any(map(self.refuses, entries)):
            raise Refused("NOT NULL constraint failed")
        self.stored += entries

    async def beat(self) -> None:
        self.beats += 1
        if self.fault_of_beat is not None:
            raise self.fault_of_beat

    def fails(self, error: Exception | None) -> None:
        self.fault = self.fault_of_beat = error


@asynccontextmanager
async def writing(storage: Storage, **options: Any) -> AsyncIterator[EventWriter]:
    async with EventWriter(storage.append, storage.beat, **{"retry_s": 0.002, **options}) as writer:
        yield writer


def hits(number: int, kind: EventType = EventType.OPENED) -> list[Hit]:
    return [a_hit(type=kind.value, occurred_at=one) for one in range(number)]


def clicks(number: int) -> list[Hit]:
    return hits(number, EventType.CLICKED)


async def outcomes(futures: Sequence[asyncio.Future[None]]) -> list[type[BaseException] | None]:
    answered = await asyncio.gather(*futures, return_exceptions=True)
    return [type(one) if isinstance(one, BaseException) else None for one in answered]


def is_so(flag: bool) -> bool:
    """What the flag says at this moment; a type checker takes it for settled once it was looked at."""
    return flag
