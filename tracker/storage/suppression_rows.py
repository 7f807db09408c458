"""Suppressions row by row: what a customer lists, adds and deletes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ..domain.audit import MakeEntry
from ..domain.ids import first_id_at, written
from ..domain.receipts import Receipt
from ..domain.suppressions import Suppression
from .audit import recorded_in_inbox
from .database import Change, Database, Write
from .receipts import kept
from .statements import load_statements
from .suppression_changes import logged, shown

_SQL = load_statements("suppression_rows")


class SuppressionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are asked for; what is None does not matter. ``since`` is Unix milliseconds."""

    reason: str | None = None
    scope: str | None = None
    topic: str | None = None
    origin: str | None = None
    since: int | None = None


class NewSuppression(msgspec.Struct, frozen=True, kw_only=True):
    """A row a customer gives; the fields are the columns. ``topic`` is empty for the whole account."""

    account_id: bytes
    address_key: bytes
    scope: str
    topic: str
    reason: str
    id: bytes
    email: str | None
    note: str | None
    created_at: int
    origin: str = "customer"


class SuppressionRows:
    """Reads the rows of one account at a time, with the addresses of opt-outs from the main database."""

    def __init__(self, database: Database, write: Write) -> None:
        self._database = database
        self._write = write

    async def page(
        self, account: bytes, which: SuppressionFilter, *, limit: int, beyond: bytes | None
    ) -> list[Suppression]:
        """The next ``limit`` rows, newest first, from just beyond the row of that id."""
        given: Iterable[tuple[str, Any]] = msgspec.structs.asdict(which).items()
        conditions: dict[str, object] = {name: value for name, value in given if value is not None}
        parts = [_PARTS[name] for name in conditions]
        if which.since is not None:
            conditions["since_id"] = first_id_at(which.since)
        if beyond is not None:
            conditions["before"] = beyond
            parts.append("before")
        return await self._select(account, *parts, "newest_first", limit=limit, **conditions)

    async def find(self, account: bytes, suppression: bytes) -> Suppression | None:
        """A row of this account."""
        rows = await self._select(account, "of_id", id=suppression)
        return rows[0] if rows else None

    async def last_said(self, account: bytes, suppression: bytes) -> int | None:
        """When the row was made or, if the person said so again, the last time; None when it is gone."""
        rows = await self._database.fetch(_SQL["last_said"], account_id=account, id=suppression)
        return rows[0]["said_at"] if rows else None

    async def of_address(self, account: bytes, address_key: bytes) -> list[Suppression]:
        """Every row of one address, the newest first."""
        return await self._select(account, "of_address_key", address_key=address_key)

    async def add(
        self,
        new: NewSuppression,
        entry: MakeEntry,
        receipt: Callable[[Suppression, bool], Receipt | None] = lambda *_: None,
    ) -> tuple[Suppression, bool]:
        """Make the row durable, and give the one that stands and whether it is new.

        ``receipt`` makes of these two what is kept beside the row. Raises ``Stale`` when somebody added or deleted
        it in the same moment.
        """
        row = msgspec.structs.asdict(new)
        standing = await self._standing(row)
        suppression = standing or msgspec.convert(shown({**row, "message_id": None}), Suppression)
        log = logged("added", account=new.account_id, suppression=new.id, at=new.created_at)
        trail = recorded_in_inbox(entry(suppression.id))
        await self._write(
            # Also where it stands already: nothing is acknowledged once a write has failed.
            Change(_SQL["insert_suppression"], [row], affects=0 if standing else 1),
            *(() if standing else (*log, trail)),
            *kept(receipt(suppression, standing is None)),
        )
        return suppression, standing is None

    async def delete(self, account: bytes, suppression: bytes, entry: MakeEntry, *, at: int) -> None:
        """Delete a row; ``at`` is Unix milliseconds. Raises ``Stale`` when it is not there."""
        row = {"account_id": account, "suppression_id": suppression}
        await self._write(
            *logged("removed", account=account, suppression=suppression, at=at),
            Change(_SQL["delete_suppression"], [row], affects=1),
            recorded_in_inbox(entry(written(suppression))),
        )

    async def _standing(self, row: Mapping[str, Any]) -> Suppression | None:
        """The same row, if it is there."""
        found = await self._database.fetch(_SQL["standing"], **{name: row[name] for name in _IDENTITY})
        return await self.find(row["account_id"], found[0]["id"]) if found else None

    async def _select(self, account: bytes, *parts: str, **conditions: object) -> list[Suppression]:
        sql = " ".join(_SQL[part] for part in ("select_suppressions", *parts))
        rows = await self._database.fetch(sql, account_id=account, **conditions)
        return [msgspec.convert(shown(row), Suppression) for row in rows]


_PARTS = {
    "reason": "of_reason",
    "scope": "of_scope",
    "topic": "of_topic",
    "origin": "of_origin",
    "since": "since",
}
"""Which part of the statement a filter adds."""

_IDENTITY = ("account_id", "address_key", "scope", "topic", "reason", "origin")
"""What makes two rows the same."""
