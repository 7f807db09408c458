"""Suppressions by the slice: rows a customer brings along, each logged like one that was added by itself."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from ..domain.audit import AuditEntry
from ..domain.receipts import Receipt
from .audit import recorded_in_inbox
from .database import Change, Database, Stale, Unavailable, Write
from .receipts import forgotten, kept_after
from .statements import load_statements
from .suppression_rows import NewSuppression

_SQL = load_statements("suppression_imports")

MOST_ROWS: Final = 128
"""Rows of one slice. One statement writes and one numbers them: more would be two, which number from the same start."""

_ATTEMPTS = 5
"""At a slice of which others add a row meanwhile, each time with nothing done."""

_SAME = ("address_key", "scope", "topic", "reason", "origin")
"""What two rows of an account never have in common."""


class SuppressionImports:
    """Adds to the rows of one account at a time."""

    def __init__(self, database: Database, write: Write) -> None:
        self._database = database
        self._write = write

    async def add(
        self,
        rows: Sequence[NewSuppression],
        entry: AuditEntry | None = None,
        *,
        at: int,
        before: Receipt | None = None,
        receipt: Callable[[int], Receipt | None] = lambda _: None,
    ) -> int:
        """Make a slice of one account durable, all or none, and give how many of its rows are new.

        What stands already stays as it is. ``entry`` goes into the audit trail with them, and what ``receipt`` makes of
        the number of new rows is kept with them, in the place of ``before``. ``at`` is the time of the log's entries,
        in Unix milliseconds. Raises ``Unavailable`` when others change the same all the time.
        """
        if len(rows) > MOST_ROWS:
            raise ValueError(f"a slice has at most {MOST_ROWS} rows")
        for _ in range(_ATTEMPTS):
            new = await self._new(rows)
            changes = (
                *_added(new, at),
                *([recorded_in_inbox(entry)] if entry is not None else []),
                *kept_after(before, receipt(len(new))),
            )
            with suppress(Stale):
                if changes:
                    await self._write(*changes)
                return len(new)
        raise Unavailable("others change the same thing all the time")

    async def forget(self, receipt: Receipt) -> None:
        """Keep this receipt no longer, so that its key is free."""
        await self._write(forgotten(receipt))

    async def _new(self, rows: Sequence[NewSuppression]) -> list[NewSuppression]:
        """Those that do not stand; of several that are the same row, the first."""
        if not rows:
            return []
        keys = list({row.address_key for row in rows})
        found = await self._database.fetch(_SQL["standing"], account_id=rows[0].account_id, keys=keys)
        standing = {tuple(row[name] for name in _SAME) for row in found}
        wanted = {tuple(getattr(row, name) for name in _SAME): row for row in reversed(rows)}
        new = {wanted[same].id for same in wanted.keys() - standing}
        return [row for row in rows if row.id in new]


def _added(rows: Sequence[NewSuppression], at: int) -> tuple[Change, ...]:
    if not rows:
        return ()
    made = [{"account_id": row.account_id, "suppression_id": row.id, "changed_at": at} for row in rows]
    return (
        Change(_SQL["insert_imported"], [msgspec.structs.asdict(row) for row in rows], affects=len(rows)),
        Change(_SQL["record_imported"], made),
        Change(_SQL["count_imported"], made),
    )
