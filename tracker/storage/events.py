"""Events, as customers ask for them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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


class Page(NamedTuple):
    """Events in the order of time, and the id beyond which the next page begins; None when this is the last."""

    events: list[Event]
    beyond: bytes | None


class Events:
    """Reads events of one account at a time, and never more than a bounded number of rows for a page.

    A page is found by walking along one index, and of what stands there what does not match is passed over. After
    ``most_steps`` rows the page is answered as it is, with the place where the walk goes on. What has no order in its
    index, such as all that one person did, is gathered and sorted when it is ``most_gathered`` rows at most; the mails
    and events of more than that are common enough to be met on another walk.

    However many ask, some readers of the database are left to those who ask whom they may write to.
    """

    def __init__(self, database: Database, *, most_steps: int = 20_000, most_gathered: int = 5_000) -> None:
        self._database = database
        self._most_steps = most_steps
        self._most_gathered = most_gathered
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def page(
        self, account: bytes, which: EventFilter, *, limit: int, beyond: bytes | None, descending: bool
    ) -> Page:
        """The next ``limit`` events in the order of time, from just beyond that id: fewer, or none, where few match."""
        filters, bounds = _filters(which), _bounds(which, beyond, descending=descending)
        async with self._turns:
            way = await self._way(account, filters)
            walk = Walk(way, filters, bounds, descending)
            edge = await self._edge(account, walk) if await self._passes_over(account, walk) else None
            params = {**filters, **bounds, "edge": edge, "limit": limit + 1, "gathered": 2 * self._most_gathered}
            rows = await self._database.fetch(walk.rows(edge), account_id=account, **params)
        if len(rows) <= limit:
            return Page([_event(row) for row in rows], edge)
        return Page([_event(row) for row in rows[:limit]], rows[limit - 1]["id"])

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
        sql = f"{_SQL['event_columns']} {_SQL['numbered']}"
        rows = await self._database.fetch(sql, account_id=account, after_sequence=after, last_sequence=last)
        return [_event(row) for row in rows]

    async def _way(self, account: bytes, filters: Mapping[str, Any]) -> str | None:
        """The filter whose index is walked along; None for all events of the account."""
        for name in _ways(filters):
            if not _gathered(name, filters) or await self._few(account, name, filters[name]):
                return name
        return None

    async def _few(self, account: bytes, name: str, value: Any) -> bool:
        counting, most = _SQL[f"count_{name}"], self._most_gathered
        rows = await self._database.fetch(counting, account_id=account, most=most + 1, **{name: value})
        return bool(rows[0]["found"] <= most)

    async def _passes_over(self, account: bytes, walk: "Walk") -> bool:
        """Whether a walk may have to be long for a few events: for what other filters leave out, or what is hidden."""
        if walk.gathers:
            return False
        if walk.picks:
            return True
        (row,) = await self._database.fetch(_SQL["hiding"], account_id=account)
        return bool(row["found"])

    async def _edge(self, account: bytes, walk: "Walk") -> bytes | None:
        """The last id of a walk that is long enough for one page; None when it ends before.

        It is found first and the rows within it afterwards, so that what is stored or deleted in between is neither
        passed over nor told twice.
        """
        params = {**walk.filters, **walk.bounds, "limit": 1, "passed": self._most_steps - 1}
        rows = await self._database.fetch(walk.edge(), account_id=account, **params)
        return bytes(rows[0]["id"]) if rows else None


class Walk(NamedTuple):
    """The events that one filter finds, in order and within bounds, of which the other filters pick."""

    way: str | None
    filters: Mapping[str, Any]
    bounds: Mapping[str, Any]
    descending: bool

    @property
    def gathers(self) -> bool:
        """Whether it finds all there is first, and sorts that."""
        return _gathered(self.way, self.filters)

    @property
    def picks(self) -> bool:
        """Whether other filters leave out some of what it finds."""
        return any(name != self.way for name in self.filters)

    def rows(self, edge: bytes | None) -> str:
        """The statement that reads the events, as far as the edge."""
        ending, farthest = ("down_to", "since") if self.descending else ("up_to", "until")
        bounds = [name for name in self.bounds if name != farthest] + [ending] if edge is not None else self.bounds
        picking = [f"of_{name}" for name in self.filters if name != self.way]
        if self.gathers:
            along = ("among_gathered", *self._start, *bounds, "gathered")
        else:
            along = ("along_walk", *self._start, *bounds)
        return _joined("event_columns", *along, *picking, self._order)

    def edge(self) -> str:
        """The statement that finds where it ends."""
        return _joined("edge_of_walk", *self._start, *self.bounds, self._order, "at_the_end")

    @property
    def _start(self) -> tuple[str, ...]:
        return (f"by_{self.way}",) if self.way else ()

    @property
    def _order(self) -> str:
        return "newest_first" if self.descending else "oldest_first"


def _joined(*names: str) -> str:
    return " ".join(_SQL[name] for name in names)


_PERSON = ("recipient", "email", "external_id")
_RARE = frozenset(("unsubscribed", "resubscribed", "complained", "bounced"))


def _ways(filters: Mapping[str, Any]) -> list[str]:
    """The filters with an index, the one that leaves fewest events first."""
    rare = ("types",) if _RARE.issuperset(filters.get("types", ("",))) else ()
    return [name for name in ("message", *_PERSON, *rare, "campaign", "topic", "types") if name in filters]


def _gathered(way: str | None, filters: Mapping[str, Any]) -> bool:
    """Whether what an index holds of this lies in several places of it, each with an order of its own."""
    return way in _PERSON or (way == "types" and len(filters["types"]) > 1)


def _filters(which: EventFilter) -> dict[str, Any]:
    given: Iterable[tuple[str, Any]] = msgspec.structs.asdict(which).items()
    return {name: value for name, value in given if value is not None and name not in ("since", "until")}


def _bounds(which: EventFilter, beyond: bytes | None, *, descending: bool) -> dict[str, bytes]:
    """The ids a walk keeps to, one at each end: of two, SQLite takes either, and passes over what lies between them."""
    bounds = {name: first_id_at(at) for name, at in (("since", which.since), ("until", which.until)) if at is not None}
    if beyond is not None and descending:
        bounds["until"] = min(beyond, bounds.get("until", beyond))
    elif beyond is not None and beyond >= bounds.get("since", beyond):
        bounds.pop("since", None)
        bounds["after"] = beyond
    return bounds


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
