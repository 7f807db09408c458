"""What follows from the journal: events with their numbers, written together with how far they reach."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from .database import Change, Database
from .statements import load_statements

_SQL = load_statements("projections")

ONE_PROJECTION = Change(load_statements("shared_journal", "overlay")["one_projection"])
"""What comes first where others write to the same database."""

CountKey = tuple[bytes, bytes, str, str]
"""Account, message, event type, verdict."""


class ProjectedEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event to be stored, but for its sequence number; the fields are the columns."""

    account_id: bytes
    id: bytes
    revision: int
    type: str
    occurred_at: int
    campaign: str
    topic: str | None
    message_id: bytes | None
    url: str | None
    link: int | None
    method: str | None
    user_agent: str | None
    client_name: str | None
    client_os: str | None
    client_device: str | None
    ip: str | None
    referrer: str | None
    proxied: int
    verdict: str
    verdict_class: str | None
    signals: str
    ruleset: int
    generation: int


class CampaignCount(msgspec.Struct, frozen=True):
    """By how much the numbers of a campaign grow, unless it was deleted since that ``generation``."""

    account_id: bytes
    campaign: str
    generation: int
    type: str
    verdict: str
    total: int
    uniques: int


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A journal row that cannot be made into an event; ``hit`` is the whole of it, as JSON with bytes in base64."""

    account_id: bytes
    journal_key: int
    message_id: bytes
    type: str
    occurred_at: int
    hit: str
    error: str


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """All that follows from one slice of the journal: what is between the marks ``old`` and ``new``.

    ``keys`` are those of its rows, which are taken from the journal where that stands in the same database.
    """

    old: int
    new: int
    keys: Sequence[int] = ()
    events: Sequence[ProjectedEvent] = ()
    message_counts: Sequence[tuple[CountKey, int]] = ()
    campaign_counts: Sequence[CampaignCount] = ()
    refused: Sequence[RefusedRow] = ()
    dropped: int = 0


class Projected(NamedTuple):
    """How far the projector is, and what it has made of the journal ever since there is this database."""

    mark: int
    events: int
    dropped: int
    refused: int


class Projections:
    """Read and written by the one projector; its mark is read by others."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark(self) -> int:
        """The key of the last journal row that everything here follows from."""
        rows = await self._database.fetch(_SQL["mark"])
        return int(rows[0]["mark"])

    async def projected(self) -> Projected:
        """The mark, with what was made of the rows up to it."""
        rows = await self._database.fetch(_SQL["projected"])
        return Projected(**rows[0])

    async def try_writing(self) -> None:
        """Begin to write and end it with nothing written. Raises ``Unavailable`` where that cannot be done."""
        await self._database.write()

    async def sequences(self, accounts: Iterable[bytes]) -> dict[bytes, int]:
        """The last sequence number given, of those of these accounts that exist."""
        rows = await self._database.fetch(_SQL["sequences"], account_ids=list(accounts))
        return {row["id"]: row["sequence"] for row in rows}

    async def counted(self, account: bytes, messages: Sequence[bytes]) -> set[CountKey]:
        """Which types and verdicts these messages have events of already."""
        rows = await self._database.fetch(_SQL["message_counts"], account_id=account, message_ids=list(messages))
        return {(account, row["message_id"], row["type"], row["verdict"]) for row in rows}

    async def store(self, projection: Projection, sequences: dict[bytes, int]) -> None:
        """Store a slice and its mark in one transaction, giving each account's events its next numbers.

        Raises ``Stale`` with nothing changed when the mark or a sequence is no longer what it was read as, or a row was
        taken by another.
        """
        events, advanced = _numbered(projection.events, sequences)
        mark = {
            "old": projection.old,
            "new": projection.new,
            "events": len(events),
            "dropped": projection.dropped,
            "refused": len(projection.refused),
        }
        message_counts = [(*key, total) for key, total in projection.message_counts]
        await self._database.write(
            *self._taking(projection.keys),
            Change(_SQL["advance_mark"], [mark], affects=1),
            Change(_SQL["advance_sequence"], advanced, affects=len(advanced)),
            Change(_SQL["insert_event"], events),
            Change(_SQL["add_message_count"], message_counts),
            Change(_SQL["add_campaign_count"], _tuples(projection.campaign_counts)),
            Change(_SQL["refuse"], [msgspec.structs.asdict(row) for row in projection.refused]),
        )

    def _taking(self, keys: Sequence[int]) -> tuple[Change, ...]:
        if not self._database.whole or not keys:
            return ()
        return ONE_PROJECTION, Change(_SQL["take"], [{"keys": list(keys)}], affects=len(keys))


def _numbered(
    events: Sequence[ProjectedEvent], sequences: dict[bytes, int]
) -> tuple[list[tuple[object, ...]], list[dict[str, object]]]:
    """The rows of the events, each with the next number of its account, and what the accounts' numbers become."""
    last, rows = dict(sequences), []
    for event in events:
        last[event.account_id] += 1
        values = msgspec.structs.astuple(event)
        rows.append((*values[:2], last[event.account_id], *values[2:]))
    # In the order of accounts: two that do this at once on one database never wait for each other in a circle.
    advanced: list[dict[str, object]] = [
        {"account_id": account, "old": sequences[account], "new": new}
        for account, new in sorted(last.items())
        if new != sequences[account]
    ]
    return rows, advanced


def _tuples(counts: Iterable[CampaignCount]) -> list[tuple[object, ...]]:
    return [msgspec.structs.astuple(count) for count in counts]
