"""The audit trail: a table in each file, so that an entry is stored in the transaction of what it tells."""

import heapq
from collections.abc import Iterable, Mapping
from itertools import islice

import msgspec

from ..domain.audit import KEPT_FOR_MS, AuditEntry, new_entry
from ..domain.ids import first_id_at, written
from .database import Change, Database, Row, Write
from .statements import load_statements

_MAIN = load_statements("audit")
_INBOX = load_statements("inbox_audit")

_SLICE_ROWS = 500


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are asked for; what is None does not matter. ``since`` <= Unix milliseconds < ``until``.

    ``by_operator`` is True for what the operator did, False for what API keys did.
    """

    action: str | None = None
    key: bytes | None = None
    by_operator: bool | None = None
    since: int | None = None
    until: int | None = None


class AuditTrail:
    """Reads the entries of both files, of one account at a time, and adds those of the main file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, entry: AuditEntry) -> None:
        """Store an entry that belongs to no change: that somebody looked."""
        await self._database.write(recorded(entry))

    async def page(self, account: bytes, which: AuditFilter, *, limit: int, beyond: bytes | None) -> list[AuditEntry]:
        """The next ``limit`` entries, the newest first, from just beyond the entry of that id."""
        pages = [await self._page(sql, account, which, limit, beyond) for sql in (_MAIN, _INBOX)]
        return list(islice(heapq.merge(*pages, key=lambda entry: entry.id, reverse=True), limit))

    async def _page(
        self, sql: Mapping[str, str], account: bytes, which: AuditFilter, limit: int, beyond: bytes | None
    ) -> Iterable[AuditEntry]:
        conditions, parts = _conditions(which)
        if beyond is not None:
            conditions["before"] = beyond
            parts.append("before")
        question = " ".join(sql[part] for part in ("select_entries", *parts, "newest_first"))
        rows = await self._database.fetch(question, account_id=account, limit=limit, **conditions)
        return [_entry(account, row) for row in rows]


class OldEntries:
    """The entries of one file that have been kept long enough; ``write`` changes that file."""

    def __init__(self, database: Database, write: Write, *, inbox: bool) -> None:
        self._database = database
        self._write = write
        self._sql = _INBOX if inbox else _MAIN

    async def expire(self, *, now: int) -> int:
        """Forget them, a slice at a time, and give their number. ``now`` is Unix milliseconds."""
        forgotten, account = 0, b""
        while rows := await self._database.fetch(self._sql["next_account"], after=account):
            account = rows[0]["account_id"]
            while slice_of := await self._expired(account, now):
                await self._write(Change(self._sql["delete_entry"], slice_of))
                forgotten += len(slice_of)
        return forgotten

    async def _expired(self, account: bytes, now: int) -> list[Row]:
        expired = first_id_at(now - KEPT_FOR_MS)
        return await self._database.fetch(self._sql["expired"], account_id=account, expired=expired, limit=_SLICE_ROWS)


def recorded_of_operator(action: str, account: bytes, subject: str | None = None, *, at: int) -> Change:
    """What stores that the operator did something to an account, or to one of its things, in the main file."""
    return recorded(new_entry(action, account=account, key=None, subject=subject or written(account), at=at))


def recorded(entry: AuditEntry) -> Change:
    """What stores an entry in the transaction of a change of the main file."""
    return Change(_MAIN["insert_entry"], [_row(entry)])


def recorded_in_inbox(entry: AuditEntry) -> Change:
    """What stores an entry in the transaction of a change of the inbox."""
    return Change(_INBOX["insert_entry"], [_row(entry)])


def recorded_lift(entry: AuditEntry, suppression: bytes, *, said_before: int) -> Change:
    """What stores an entry before the row that is lifted is deleted; nothing is stored where it is not."""
    row = _row(entry)
    lifted = {"audit_id": row.pop("id"), "suppression_id": suppression, "said_before": said_before}
    return Change(_INBOX["insert_lift_entry"], [{**row, **lifted}])


def _row(entry: AuditEntry) -> dict[str, object]:
    row = msgspec.structs.asdict(entry)
    return {**row, "account_id": row.pop("account"), "key_id": row.pop("key")}


def _entry(account: bytes, row: Row) -> AuditEntry:
    return AuditEntry(account=account, id=row["id"], key=row["key_id"], action=row["action"], subject=row["subject"])


def _conditions(which: AuditFilter) -> tuple[dict[str, object], list[str]]:
    """The parameters, and the parts of the statement they belong to."""
    conditions: dict[str, object] = {}
    parts = []
    for name, part, value in (
        ("action", "of_action", which.action),
        ("key_id", "of_key", which.key),
        ("since", "since", first_id_at(which.since) if which.since is not None else None),
        ("until", "until", first_id_at(which.until) if which.until is not None else None),
    ):
        if value is not None:
            conditions[name] = value
            parts.append(part)
    if which.by_operator is not None:
        parts.append("of_operator" if which.by_operator else "of_keys")
    return conditions, parts
