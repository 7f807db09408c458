"""Large calls: each of ten thousand items takes the writer and the interpreter for half a second."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

from starlette.requests import Request

from .problems import Problem

LARGE = 64 * 1024
"""Bytes of a body from which on a call counts as large."""

MEDIUM = 8 * 1024
"""Bytes of a body from which on a call takes turns with others: ten batches of a thousand at once, each of 40 KiB,
kept a small call waiting for longer than ten of ten thousand one by one."""

_RETRY_AFTER_S = 1


class Bulk:
    """Lets each account make one large call at a time, and works on one large or medium at a time, each account in
    its turn.

    So whoever sends many keeps himself waiting, and small calls wait for one of them at most.
    """

    def __init__(self) -> None:
        self._accounts: set[bytes] = set()
        self._queues: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self.turn = asyncio.Lock()
        """Held while one is worked on; it goes round in the order of asking."""

    @contextmanager
    def admitted(self, account: bytes) -> Iterator[None]:
        """For as long as a large call lasts. Raises ``Problem`` 429 when the account has one under way."""
        if account in self._accounts:
            raise Problem(
                "too-many-at-once",
                "This account has a large call under way: send this one when that is answered.",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        self._accounts.add(account)
        try:
            yield
        finally:
            self._accounts.discard(account)

    @asynccontextmanager
    async def in_turn(self, account: bytes) -> AsyncIterator[None]:
        """While this one is worked on. Of each account one waits for the turn, and its others behind that one."""
        queue = self._queues.setdefault(account, asyncio.Lock())
        async with queue, self.turn:
            yield


def is_over(size: int, request: Request) -> bool:
    """Whether more comes or goes: without a length of its body, as of a GET, a request of this kind may be any."""
    length = request.headers.get("content-length", "")
    known = length.isascii() and length.isdecimal() and len(length) < len(str(2**63))
    return not known or int(length) > size
