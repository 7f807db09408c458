"""Large calls: each of ten thousand items takes the writer and the interpreter for half a second."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from .problems import Problem

LARGE = 64 * 1024
"""Bytes of a body from which on a call counts as large."""

_RETRY_AFTER_S = 1


class Bulk:
    """Lets each account make one large call at a time, and works on one at a time, whosever turn it is.

    So whoever sends many keeps himself waiting, and small calls wait for one of them at most.
    """

    def __init__(self) -> None:
        self._accounts: set[bytes] = set()
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


def is_large(request: Request) -> bool:
    """Whether much comes or much goes: without a length of its body, as of a GET, a request of this kind may be any."""
    length = request.headers.get("content-length", "")
    known = length.isascii() and length.isdecimal() and len(length) < len(str(2**63))
    return not known or int(length) > LARGE
