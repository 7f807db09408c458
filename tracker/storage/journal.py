"""The journal: what happened, in the order of commits, until everything that follows from it is stored."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec

from ..domain.audit import AuditEntry
from ..domain.events import Entry, EventType, Hit, JournalRow, Method, OptOut, Undo
from .audit import recorded_lift
from .database import Broken, Change, Database, Row
from .receipts import kept_if_new
from .statements import load_statements
from .suppression_changes import WHENEVER, logged

_SQL = load_statements("journal")


class Journal:
    """Written by one process, which gives the keys; read by any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = 0
        self._broken: Broken | None = None
        self._residue = True
        self.broken_since: int | None = None
        """When a write or an fsync failed, in Unix milliseconds: from then on nothing is written."""
        self.head: int | None = None
        """The key of the last entry that is on stable storage; None where several servers append."""

    async def open(self, *, above: int) -> None:
        """Make ready to append. Keys begin above those in the file and above ``above``, the mark of the projection."""
        self.head = head = await self._last_key()
        self._last = max(head, above)

    async def append(self, entries: Sequence[Entry]) -> None:
        """Make all of the entries durable, or none.

        An opt-out whose address has one already leaves its time there and no row; an undo of one that is gone leaves
        nothing.
        """
        hits, undone, opt_outs, receipts = [], [], [], list[Change]()
        for entry in entries:
            self._last += 1
            if isinstance(entry, Hit):
                hits.append(_hit_row(self._last, entry))
            elif isinstance(entry, Undo):
                undone.append(_undoing({**_undo_row(self._last, entry), **_consent(entry)}, entry.audit))
                receipts += kept_if_new(entry.receipt)
            else:
                opt_outs.append(_opt_out_row(self._last, entry))
        last = self._last
        with self._until_broken():
            await self._store(hits, (*_changes(undone, opt_outs), *receipts))
        if self.head is not None:
            self.head = last

    async def reached(self) -> int:
        """The key of the last entry that anybody was told is stored."""
        return await self._last_key() if self.head is None else self.head

    async def write(self, *changes: Change) -> None:
        """Make other changes of the same file durable, all or none; like everything here, none after a failed write."""
        with self._until_broken():
            await self._database.write(*changes)

    async def beat(self) -> None:
        """Write something of no meaning, to learn whether writing works."""
        with self._until_broken():
            await self._database.change(_SQL["beat"], at=time.time_ns() // 1_000_000)

    async def read(self, *, after: int, limit: int) -> list[Row]:
        """The rows above a key, in their order, for :func:`journal_row`."""
        return await self._database.fetch(_SQL["read_after"], after=after, limit=limit)

    async def holds(self, *, after: int, upto: int) -> bool:
        """Whether there is an entry above one key and not above the other."""
        return bool(await self._database.fetch(_SQL["between"], after=after, upto=upto))

    async def oldest(self, *, after: int) -> int | None:
        """When the first entry above a key occurred, in Unix milliseconds; None when there is none."""
        rows = await self._database.fetch(_SQL["oldest_after"], after=after)
        return rows[0]["occurred_at"] if rows else None

    async def trim(self, *, upto: int, slice_rows: int = 10_000) -> int:
        """Forget the entries up to a key, a slice at a time, and make sure that they are gone from the files: at once,
        or within ten seconds where calls follow each other.

        Where somebody who reads stands in the way of that, the next call tries again.
        """
        rows = await self._database.fetch(_SQL["first_key"])
        first = int(rows[0]["id"])
        trimmed = upto - first + 1 if 0 < first <= upto else 0
        with self._until_broken():
            for start in range(first, first + trimmed, slice_rows):
                self._residue = True
                await self._database.change(_SQL["trim"], upto=min(start + slice_rows - 1, upto))
            if self._residue:
                self._residue = not await self._database.scrub(at_once=False)
        return trimmed

    async def _last_key(self) -> int:
        rows = await self._database.fetch(_SQL["last_key"])
        return int(rows[0]["id"])

    async def _store(self, hits: list[tuple[object, ...]], changes: Sequence[Change]) -> None:
        inserted = [Change(_SQL["insert_hit"], hits)] if hits else []
        await self._database.write(*inserted, *changes)

    @contextmanager
    def _until_broken(self) -> Iterator[None]:
        """After one failed write or fsync nobody knows what a later one brings to the disk: there is none."""
        if self._broken is not None:
            raise Broken(f"an earlier write failed, restart the server: {self._broken}")
        try:
            yield
        except Broken as error:
            self._broken = error
            self.broken_since = time.time_ns() // 1_000_000
            raise


def _changes(undone: list[tuple[Change, ...]], opt_outs: list[dict[str, Any]]) -> list[Change]:
    # Before the opt-outs: one that comes at the same moment stands.
    changes = list(chain.from_iterable(undone))
    if opt_outs:
        # Two that write to one database at once wait for each other in the same order, and so never in a circle.
        opt_outs = sorted(opt_outs, key=itemgetter("account_id", "address_key"))
        # One by one: the numbers of two are not the same.
        changes.extend(Change(_SQL[name], [opt_out]) for opt_out in opt_outs for name in _GIVING_WAY)
        changes.append(Change(_SQL["insert_opt_out"], opt_outs))
        changes.append(Change(_SQL["repeat_opt_out"], opt_outs))
        changes.append(Change(_SQL["insert_opt_out_hit"], opt_outs))
        changes.extend(chain.from_iterable(_addition(opt_out) for opt_out in opt_outs))
    return changes


_GIVING_WAY = ("count_given_way", "record_given_way", "delete_given_way")


def _undoing(row: dict[str, Any], audit: AuditEntry | None) -> tuple[Change, ...]:
    account, suppression, before = row["account_id"], row["suppression_id"], row["said_before"]
    return (
        *([recorded_lift(audit, row["suppression_id"], said_before=before)] if audit is not None else []),
        Change(_SQL["insert_undo_hit"], [row]),
        *([Change(_SQL["insert_lift"], [row])] if "evidence" in row else []),
        *logged("removed", account=account, suppression=suppression, at=row["occurred_at"], said_before=before),
        Change(_SQL["delete_undone"], [row]),
    )


def _addition(row: dict[str, Any]) -> tuple[Change, Change]:
    return logged("added", account=row["account_id"], suppression=row["suppression_id"], at=row["occurred_at"])


def _hit_row(key: int, hit: Hit) -> tuple[object, ...]:
    """In the order in which the statement names them: this runs once a hit."""
    return (
        key,
        hit.account,
        hit.message,
        hit.type,
        hit.occurred_at,
        hit.user_agent,
        hit.network,
        hit.referrer,
        +hit.prefetch,  # a number to SQLite at once, where a bool would be asked for its adapter
        +hit.blocked,
        hit.link,
        hit.url,
        hit.method,
    )


def _opt_out_row(key: int, opt_out: OptOut) -> dict[str, Any]:
    return {**_undo_row(key, opt_out), "address_key": opt_out.address_key}


def _consent(undo: Undo) -> dict[str, Any]:
    if undo.consent is None:
        return {"said_before": WHENEVER}
    # The hit has a method of its own.
    given = msgspec.structs.asdict(undo.consent)
    return {"consent_method": given.pop("method"), "said_before": given["consented_at"], **given}


def _undo_row(key: int, entry: OptOut | Undo) -> dict[str, Any]:
    hit = entry.hit
    return {
        "id": key,
        "account_id": hit.account,
        "suppression_id": entry.suppression,
        "message_id": hit.message,
        "type": hit.type,
        "occurred_at": hit.occurred_at,
        "user_agent": hit.user_agent,
        "network": hit.network,
        "referrer": hit.referrer,
        "prefetch": hit.prefetch,
        "method": hit.method,
    }


def journal_row(row: Row) -> JournalRow:
    """A row as it was read. Raises ``ValueError`` for one that this release could not have written."""
    hit = Hit(
        type=EventType(row["type"]).value,
        account=row["account_id"],
        message=row["message_id"],
        occurred_at=row["occurred_at"],
        user_agent=row["user_agent"],
        network=row["network"],
        referrer=row["referrer"],
        prefetch=bool(row["prefetch"]),
        blocked=bool(row["blocked"]),
        link=row["link"],
        url=row["url"],
        method=Method(row["method"]) if row["method"] else None,
    )
    return JournalRow(key=row["id"], hit=hit)
