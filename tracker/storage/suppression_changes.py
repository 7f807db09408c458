"""The log of suppressions: what was added and removed, under numbers without holes."""

from typing import Annotated

import msgspec

from ..domain.ids import written
from ..domain.suppressions import Suppression
from ..domain.times import Time, written_time
from .database import Change, Database, Row
from .statements import load_statements

_SQL = load_statements("suppression_changes")


class SuppressionChange(Suppression, frozen=True, kw_only=True):
    """A suppression that was ``added`` or ``removed``, with what is still known of it."""

    sequence: int
    change: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["added", "removed"]})]
    changed_at: Time


class SuppressionChanges:
    """Reads the log of one account at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, account: bytes, sequence: int, *, limit: int) -> list[SuppressionChange]:
        """The next changes above a sequence number."""
        rows = await self._database.fetch(_SQL["changes_after"], account_id=account, after=sequence, limit=limit)
        return [_change(row) for row in rows]


WHENEVER = 2**63 - 1


def logged(
    change: str, *, account: bytes, suppression: bytes, at: int, said_before: int = WHENEVER
) -> tuple[Change, Change]:
    """What writes down that this row was ``added`` (run after the insert) or ``removed`` (run before the delete).

    Nothing is written, and no number used up, where there is no such row, or somebody asked for it again at
    ``said_before`` or later. Times are Unix milliseconds.
    """
    row = {
        "account_id": account,
        "suppression_id": suppression,
        "change": change,
        "changed_at": at,
        "said_before": said_before,
    }
    return Change(_SQL["count_change"], [row]), Change(_SQL["record_change"], [row])


def shown(row: Row) -> dict[str, object]:
    """The fields of a ``Suppression`` as every answer shows them."""
    return {
        "id": written(row["id"]),
        "email": row["email"],
        "reason": row["reason"],
        "scope": row["scope"],
        "topic": row["topic"] or None,
        "origin": row["origin"],
        "note": row["note"],
        "message_id": written(row["message_id"]) if row["message_id"] else None,
        "created_at": written_time(row["created_at"]),
    }


def _change(row: Row) -> SuppressionChange:
    log = {"sequence": row["sequence"], "change": row["change"], "changed_at": written_time(row["changed_at"])}
    return msgspec.convert({**shown(row), **log}, SuppressionChange)
