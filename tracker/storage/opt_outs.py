"""What a person sees of whether they may be written to."""

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


class Stands(msgspec.Struct, frozen=True):
    """What keeps an account from writing to an address at all: an opt-out, or anything else.

    Of anything else - a bounce, a complaint, what the customer decided - it is only said that there is some: why and
    since when is the customer's affair, and whoever holds a link need not be the one it was sent to.
    """

    opt_out: OptedOut | None
    otherwise: bool


class OptOuts:
    """Reads from what is committed, never from a copy in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stands(self, account: bytes, address_key: bytes) -> Stands:
        """What stands against an address."""
        rows = await self._database.fetch(_SQL["standing"], account_id=account, address_key=address_key)
        opted_out = [row for row in rows if row["reason"] == "unsubscribed"]
        own = next((row for row in opted_out if row["origin"] == "recipient"), None)
        own_id, own_since = (own["id"], own["created_at"]) if own else (None, None)
        found = OptedOut(opted_out[0]["created_at"], own_id, own_since) if opted_out else None
        return Stands(found, otherwise=len(rows) > len(opted_out))
