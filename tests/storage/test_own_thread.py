"""Work in a thread is done in order, heard of by whoever waits, and done for nobody just the same."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tracker.storage.own_thread import OwnThread

pytestmark = pytest.mark.anyio


@pytest.fixture
def thread() -> Iterator[OwnThread]:
    """One that is closed at the end."""
    opened = OwnThread("of a test")
    yield opened
    opened.close()


async def test_work_is_done_in_the_order_it_was_given(thread: OwnThread) -> None:
    """And never two things at once: all of it in the one thread."""
    done: list[int] = []
    working = [thread.run(lambda number=number: done.append(number)) for number in range(100)]  # type: ignore[misc]
    assert await asyncio.gather(*working, thread.run(threading.get_ident)) != [threading.get_ident()]
    assert done == list(range(100))


async def test_whoever_waits_hears_what_came_of_it(thread: OwnThread) -> None:
    """The result, or the very error; and the thread goes on after one."""
    error = ValueError("no")

    def fail() -> None:
        raise error

    with pytest.raises(ValueError, match="no") as raised:
        await thread.run(fail)
    assert raised.value is error
    assert await thread.run(lambda: 5) == 5


@pytest.mark.parametrize("failing", [False, True])
async def test_work_of_one_who_was_cancelled_is_done_all_the_same(thread: OwnThread, failing: bool) -> None:
    """What was begun is finished, whether it succeeds or fails, and nobody is asked to hear of it."""
    held, done = threading.Event(), list[str]()

    def work() -> None:
        held.wait(10)
        done.append("done")
        if failing:
            raise ValueError("nobody hears this")

    waiting = asyncio.ensure_future(thread.run(work))
    waiting.cancel()
    held.set()
    assert await thread.run(lambda: list(done)) == ["done"]
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_close_waits_for_what_was_given() -> None:
    """Nothing that was taken is left undone."""
    thread, done = OwnThread("of a test"), list[int]()
    for number in range(50):
        thread.run(lambda number=number: done.append(number))  # type: ignore[misc]
    thread.close()
    assert len(done) == 50
