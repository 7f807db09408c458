"""What a person sees of their own opt-out."""

import msgspec

from .database import Database
from .statements import load_statements

_SQL = load_statements("opt_outs")


class OptedOut(msgspec.Struct, frozen=True):
    """An address that opted out of everything an account sends. ``since`` is Unix milliseconds.

    ``own`` is the id of the row that the person made, and ``own_since`` its time; without it a customer keeps the row.
    """

    since: int
    own: bytes | None
    own_since: int | None


class OptOuts:
    """Reads from what is committed, never from a copy in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, account: bytes, address_key: bytes) -> OptedOut | None:
        """The opt-out of an address; None when it has none."""
        rows = await self._database.fetch(_SQL["opt_outs"], account_id=account, address_key=address_key)
        if not rows:
            return None
        own = next((row for row in rows if row["origin"] == "recipient"), None)
        return OptedOut(rows[0]["created_at"], own["id"] if own else None, own["created_at"] if own else None)
