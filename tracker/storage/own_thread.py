"""A thread that works for the event loop, one thing after the other."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class OwnThread:
    """Whatever was given to it is carried out, also when nobody waits for it any more.

    ``ThreadPoolExecutor`` does the same with more: two futures and several locks for each piece of work, which were a
    fifth of the CPU of a small commit.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """What ``work`` gives or raises, once its turn has come."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                loop.call_soon_threadsafe(_settle, done, None, error)
            else:
                loop.call_soon_threadsafe(_settle, done, result, None)

        self._jobs.put(job)
        return done

    def close(self) -> None:
        """Wait until everything is carried out; nothing may be given to it any more."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(done: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    # Whoever waited may have been cancelled meanwhile.
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
