"""How far an import has come, over all the calls that carry it under one Idempotency-Key."""

import hashlib
import time
from collections.abc import AsyncIterator

import msgspec

from ..domain.receipts import Receipt
from .idempotency import Once, reused


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the receipt of an import holds: numbers and a digest, so that the rest can be told from the same list.

    ``at`` is when the import began, in Unix milliseconds: by that time its lines are judged, whoever goes on. The first
    ``size`` bytes of the list have the digest ``seen``, and of the rows in them the first ``rows`` are on stable
    storage, of which ``added`` were new. It is ``whole`` once there is nothing more to store.
    """

    at: int
    size: int = 0
    seen: bytes = b""
    rows: int = 0
    added: int = 0
    whole: bool = False


class ImportProgress:
    """Compares the list with the one that came before under the same key, and says which of its rows are stored.

    It is to be given the list in pieces that are cut the same way each time: what was kept ends with one of them.
    """

    def __init__(self, once: Once) -> None:
        self._once = once
        self._receipt = once.earlier
        self._came = once.made(Kept)
        self.kept = self._came or Kept(at=time.time_ns() // 1_000_000)
        if self._came is not None and not self._came.whole:
            once.go_on()
        self._digest = hashlib.blake2b(digest_size=16)
        self._size = 0
        self._agrees = self._came is None or self._came.size == 0

    @property
    def begun(self) -> bool:
        """Whether an earlier call has stored something."""
        return self._came is not None

    @property
    def receipt(self) -> Receipt | None:
        """What is kept now; None without a key, and before the first transaction."""
        return self._receipt

    @property
    def to_forget(self) -> Receipt | None:
        """What is kept of this list, should it turn out to be none."""
        return self._receipt if self._agrees and not self.kept.whole else None

    def read(self, piece: bytes) -> None:
        """The next piece. Raises ``Problem`` 422 when it belongs to another list than the key does."""
        self._digest.update(piece)
        self._size += len(piece)
        if self._came is not None and self._size >= self._came.size:
            self._compare(self._came)

    def end(self) -> None:
        """There are no more. Raises ``Problem`` as ``read`` does."""
        self.expect_the_same()

    def expect_the_same(self) -> None:
        """Raises ``Problem`` 422 unless all that came before has come again: nothing of another list may be stored."""
        if not self._agrees:
            raise reused()

    def _compare(self, came: Kept) -> None:
        if self._size == came.size:
            self._agrees = self._digest.digest() == came.seen
        elif came.whole:
            self._agrees = False
        self.expect_the_same()

    def next(self, rows: int, added: int, *, whole: bool = False) -> Kept:
        """What is to be kept with so many more rows, of which so many are new."""
        return msgspec.structs.replace(
            self.kept,
            size=self._size,
            seen=self._digest.digest(),
            rows=self.kept.rows + rows,
            added=self.kept.added + added,
            whole=whole,
        )

    def receipt_of(self, kept: Kept) -> Receipt | None:
        """To be stored in the transaction of these rows; None without a key."""
        return self._once.receipt(kept)

    def stored(self, kept: Kept) -> None:
        """That transaction is on stable storage."""
        self.kept, self._receipt = kept, self.receipt_of(kept)


async def cut_evenly(pieces: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of ``size`` and a last one of what is left, however they come."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)
