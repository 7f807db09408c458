"""Who may not be written to."""

from collections.abc import Iterable, Sequence

import msgspec

from .database import Database, Row
from .statements import load_statements

_SQL = load_statements("suppressions")

_STRONGEST_FIRST = ("unsubscribed", "complained", "bounced", "manual")


class Standing(msgspec.Struct, frozen=True):
    """Why an address may not be written to: the strongest reason. ``since`` is Unix milliseconds."""

    reason: str
    scope: str
    since: int


class Suppressions:
    """Answers "may I write to these?" from what is committed, never from a copy in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def matching(self, account: bytes, keys: Sequence[bytes], topic: str | None) -> dict[bytes, Standing]:
        """Of these address keys, those that are suppressed, with the strongest reason of each."""
        if not keys:
            return {}
        rows = await self._database.fetch(_SQL["matching"], account_id=account, address_keys=list(keys), topic=topic)
        return _strongest(rows)


def _strongest(rows: Iterable[Row]) -> dict[bytes, Standing]:
    weakest_first = sorted(rows, key=lambda row: (-_STRONGEST_FIRST.index(row["reason"]), row["scope"] == "account"))
    return {row["address_key"]: Standing(row["reason"], row["scope"], row["since"]) for row in weakest_first}
