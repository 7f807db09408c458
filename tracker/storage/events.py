"""Events, as customers ask for them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..domain.events import Client, ErasedEvent, Event, RecipientShown, VerdictShown
from ..domain.ids import first_id_at, written
from ..domain.times import written_time
from .database import Database, Row
from .statements import load_statements

_SQL = load_statements("events")
_AT_ONCE = 2
_NO_METADATA: Mapping[str, Any] = {}


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are asked for; what is None does not matter. ``since`` <= Unix milliseconds < ``until``."""

    types: Sequence[str] | None = None
    campaign: str | None = None
    topic: str | None = None
    message: bytes | None = None
    verdict: str | None = None
    recipient: bytes | None = None
    email: str | None = None
    external_id: str | None = None
    since: int | None = None
    until: int | None = None


class Events:
    """Reads events of one account at a time.

    A page that is picked from millions of events may take seconds. However many are asked for, some readers of the
    database are left to those who ask whom they may write to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def page(
        self, account: bytes, which: EventFilter, *, limit: int, beyond: bytes | None, descending: bool
    ) -> list[Event]:
        """The next ``limit`` events in the order of time, from just beyond the event of that id."""
        conditions = _conditions(which)
        if beyond is not None:
            conditions["before" if descending else "after"] = beyond
        order = _SQL["newest_first" if descending else "oldest_first"]
        sql = " ".join((_SQL["select_events"], *(_SQL[_PARTS.get(name, name)] for name in conditions), order))
        async with self._turns:
            rows = await self._database.fetch(sql, account_id=account, limit=limit, **conditions)
        return [_event(row) for row in rows]

    async def feed(self, account: bytes, *, after: int, limit: int) -> list[Event | ErasedEvent]:
        """The next changes above a sequence number, without a hole; what can no longer be shown was erased.

        That stays true when something is erased between the two questions.
        """
        entries = await self._database.fetch(_SQL["entries"], account_id=account, sequence=after, limit=limit)
        if not entries:
            return []
        shown = {event.sequence: event for event in await self._numbered(account, after, entries[-1]["sequence"])}
        return [shown.get(entry["sequence"]) or _erased(entry) for entry in entries]

    async def _numbered(self, account: bytes, after: int, last: int) -> list[Event]:
        sql = f"{_SQL['select_events']} {_SQL['numbered']}"
        rows = await self._database.fetch(sql, account_id=account, after_sequence=after, last_sequence=last)
        return [_event(row) for row in rows]


_PARTS = {
    "types": "of_types",
    "campaign": "of_campaign",
    "topic": "of_topic",
    "message": "of_message",
    "verdict": "of_verdict",
    "recipient": "of_recipient",
    "email": "of_email",
    "external_id": "of_external_id",
}
"""Which part of the statement a filter adds; it stands under its own name where none is said."""


def _conditions(which: EventFilter) -> dict[str, object]:
    given: Iterable[tuple[str, Any]] = msgspec.structs.asdict(which).items()
    conditions: dict[str, object] = {name: value for name, value in given if value is not None}
    for bound in ("since", "until"):
        if bound in conditions:
            conditions[bound] = first_id_at(int(str(conditions[bound])))
    return conditions


def _event(row: Row) -> Event:
    return Event(
        id=written(row["id"]),
        sequence=row["sequence"],
        revision=row["revision"],
        type=row["type"],
        occurred_at=written_time(row["occurred_at"]),
        campaign=row["campaign"] or None,
        topic=row["topic"],
        message_id=written(row["message_id"]) if row["message_id"] else None,
        recipient=_recipient(row),
        url=row["url"],
        link=row["link"],
        method=row["method"],
        client=_client(row),
        verdict=VerdictShown(value=row["verdict"], machine_class=row["verdict_class"], signals=row["signals"].split()),
        metadata=msgspec.json.decode(row["metadata"]) if row["metadata"] else _NO_METADATA,
    )


def _erased(row: Row) -> ErasedEvent:
    return ErasedEvent(sequence=row["sequence"], id=written(row["id"]))


def _recipient(row: Row) -> RecipientShown:
    known = row["recipient_id"]
    return RecipientShown(id=written(known) if known else None, external_id=row["external_id"], email=row["email"])


def _client(row: Row) -> Client:
    return Client(
        user_agent=row["user_agent"],
        name=row["client_name"],
        os=row["client_os"],
        device=row["client_device"],
        ip=row["ip"],
        proxied=bool(row["proxied"]),
        referrer=row["referrer"],
    )
