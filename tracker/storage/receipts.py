"""Receipts of calls with an Idempotency-Key: a table in each file, beside the effects they belong to."""

import msgspec

from ..domain.receipts import KEPT_FOR_MS, Receipt
from .database import Change, Database, Row, Write
from .statements import load_statements

_SQL = load_statements("receipts")

_SLICE_ROWS = 500


class Receipts:
    """The receipts of one file, which ``write`` changes."""

    def __init__(self, database: Database, write: Write) -> None:
        self._database = database
        self._write = write

    async def find(self, account: bytes, route: str, key: bytes, *, now: int) -> Receipt | None:
        """The receipt of this key, unless it is too old to hold. ``now`` is Unix milliseconds."""
        rows = await self._database.fetch(
            _SQL["receipt"], account_id=account, route=route, key=key, expired=now - KEPT_FOR_MS
        )
        return _receipt(rows[0]) if rows else None

    async def expire(self, *, now: int) -> int:
        """Forget those that are too old, a slice at a time, and give their number."""
        forgotten, account = 0, b""
        while rows := await self._database.fetch(_SQL["next_account"], after=account):
            account = rows[0]["account_id"]
            while slice_of := await self._expired(account, now):
                await self._write(Change(_SQL["delete_receipt"], slice_of))
                forgotten += len(slice_of)
        return forgotten

    async def _expired(self, account: bytes, now: int) -> list[Row]:
        return await self._database.fetch(
            _SQL["expired"], account_id=account, expired=now - KEPT_FOR_MS, limit=_SLICE_ROWS
        )


def kept(receipt: Receipt | None) -> tuple[Change, ...]:
    """What keeps a receipt, in the transaction of its effect; nothing where there is none.

    The transaction is ``Stale`` if another call with the same key was carried out meanwhile.
    """
    return () if receipt is None else (Change(_SQL["insert_receipt"], [_row(receipt)], affects=1),)


def kept_after(before: Receipt | None, receipt: Receipt | None) -> tuple[Change, ...]:
    """As :func:`kept`, in the place of what the same call kept ``before``; ``Stale`` if that stands no more."""
    if receipt is None or before is None:
        return kept(receipt)
    return (Change(_SQL["replace_receipt"], [{**_row(receipt), "before": before.made}], affects=1),)


def forgotten(receipt: Receipt) -> Change:
    """What frees the key of a receipt."""
    return Change(_SQL["delete_receipt"], [_row(receipt)])


def kept_if_new(receipt: Receipt | None) -> tuple[Change, ...]:
    """As :func:`kept`, for an effect that does no harm twice: the first receipt stands."""
    return () if receipt is None else (Change(_SQL["insert_receipt"], [_row(receipt)]),)


def _row(receipt: Receipt) -> dict[str, object]:
    row = msgspec.structs.asdict(receipt)
    return {**row, "account_id": row.pop("account"), "expired": receipt.created_at - KEPT_FOR_MS}


def _receipt(row: Row) -> Receipt:
    given = dict(row)
    return Receipt(account=given.pop("account_id"), **given)
