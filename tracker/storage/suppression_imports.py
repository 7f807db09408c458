"""Suppressions by the slice: rows a customer brings along, each logged like one that was added by itself."""

from collections.abc import Sequence
from typing import Final

import msgspec

from .database import Change, Database, Write
from .statements import load_statements
from .suppression_rows import NewSuppression

_SQL = load_statements("suppression_imports")

MOST_ROWS: Final = 128
"""Rows of one slice. One statement writes and one numbers them: more would be two, which number from the same start."""


class SuppressionImports:
    """Adds to the rows of one account at a time."""

    def __init__(self, database: Database, write: Write) -> None:
        self._database = database
        self._write = write

    async def add(self, rows: Sequence[NewSuppression], *, at: int) -> int:
        """Make a slice of one account durable, all or none, and give how many of its rows are new.

        What stands already stays as it is. ``at`` is the time of the log's entries, in Unix milliseconds.
        """
        if len(rows) > MOST_ROWS:
            raise ValueError(f"a slice has at most {MOST_ROWS} rows")
        if not rows:
            return 0
        made = [{"account_id": row.account_id, "suppression_id": row.id, "changed_at": at} for row in rows]
        await self._write(
            Change(_SQL["insert_imported"], [msgspec.structs.asdict(row) for row in rows]),
            Change(_SQL["record_imported"], made),
            Change(_SQL["count_imported"], made),
        )
        found = await self._database.fetch(_SQL["found"], account_id=rows[0].account_id, ids=[row.id for row in rows])
        return len(found)
