"""What a customer may ask about events, read from a query or a body and judged alike."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..domain.addresses import InvalidAddress, read_address
from ..domain.ids import BadId, Id, parse_id
from ..domain.times import BadTime, Time, parse_time
from ..storage.events import EventFilter
from .fields import MOST_ROWS, Campaign, Cursor, Email, ExternalId, Limit, Topic, word
from .names import checked_name
from .problems import Flaw, flawed

EVENT_TYPES = ("opened", "clicked", "unsubscribed", "resubscribed", "complained", "bounced")
VERDICTS = ("human", "machine", "unknown")

EventType = Annotated[str, word(*EVENT_TYPES, description="What happened.")]
Types = Annotated[list[EventType], Meta(description="Any of these types.")]
RecipientId = Annotated[Id, Meta(description="Our id of the recipient.")]
MessageId = Annotated[Id, Meta(description="The id of the message.")]
Since = Annotated[Time, Meta(description="From this time on.")]
Until = Annotated[Time, Meta(description="Before this time.")]
JudgedLimit = Annotated[
    int, Meta(description="How many rows at most.", extra_json_schema={"minimum": 1, "maximum": MOST_ROWS})
]
Verdict = Annotated[str, word(*VERDICTS, description="Person or machine.")]
Order = Annotated[str, word("desc", "asc", description="The newest first, or the oldest.")]


class EventQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A filter and how its answer is paged."""

    filter: EventFilter
    descending: bool
    limit: int
    cursor: str | None

    @property
    def signature(self) -> bytes:
        """What a cursor is bound to: every part of the question but where it goes on."""
        return msgspec.msgpack.encode((msgspec.structs.astuple(self.filter), self.descending))


class EventsQuery(msgspec.Struct, frozen=True):
    """The parameters of the list; an address never stands in a URL, so ``email`` is none of them."""

    type: Types | None = None
    recipient: RecipientId | None = None
    external_id: ExternalId | None = None
    campaign: Campaign | None = None
    message: MessageId | None = None
    topic: Topic | None = None
    verdict: Verdict | None = None
    since: Since | None = None
    until: Until | None = None
    order: Order = "desc"
    cursor: Cursor | None = None
    limit: Limit = 100


class EventSearch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a search: the parameters of the list, and ``email``."""

    type: EventType | Types | None = None
    recipient: RecipientId | None = None
    email: Email | None = None
    external_id: ExternalId | None = None
    campaign: Campaign | None = None
    message: MessageId | None = None
    topic: Topic | None = None
    verdict: Verdict | None = None
    since: Since | None = None
    until: Until | None = None
    order: Order = "desc"
    cursor: Cursor | None = None
    limit: JudgedLimit = 100


def question_of_query(query: EventsQuery) -> EventQuestion:
    """The question of a GET. Raises ``Problem`` 422 with every flaw found."""
    return question_of_search(EventSearch(**msgspec.structs.asdict(query)))


def question_of_search(search: EventSearch) -> EventQuestion:
    """The question of a search. Raises ``Problem`` 422 with every flaw found."""
    flaws: list[Flaw] = []
    values = {name: _judged(name, value, flaws) for name, value in _filters(search).items()}
    if search.order not in ("desc", "asc"):
        flaws.append(Flaw("#/order", "must be desc or asc"))
    if not 1 <= search.limit <= MOST_ROWS:
        flaws.append(Flaw("#/limit", f"must be a whole number from 1 to {MOST_ROWS}"))
    if flaws:
        raise flawed(flaws)
    return EventQuestion(
        filter=EventFilter(**values),
        descending=search.order == "desc",
        limit=search.limit,
        cursor=search.cursor,
    )


def _filters(search: EventSearch) -> Mapping[str, Any]:
    given: dict[str, Any] = msgspec.structs.asdict(search)
    types = given.pop("type")
    given["types"] = [types] if isinstance(types, str) else types
    paging = ("order", "cursor", "limit")
    return {name: value for name, value in given.items() if value is not None and name not in paging}


def _judged(name: str, value: Any, flaws: list[Flaw]) -> Any:
    try:
        return _JUDGES[name](value)
    except (BadId, BadTime, InvalidAddress, _Unknown) as error:
        flaws.append(Flaw(f"#/{'type' if name == 'types' else name}", str(error)))
        return None


class _Unknown(ValueError):
    """A word that is not one of those that may stand here."""


def _types(types: Sequence[str]) -> list[str]:
    return [_one_of(EVENT_TYPES, given) for given in dict.fromkeys(types)] or [""]


def _one_of(words: Sequence[str], given: str) -> str:
    if given not in words:
        raise _Unknown(f"must be one of {', '.join(words)}")
    return given


def _external_id(given: str) -> str:
    if not 1 <= len(given) <= 200 or "\0" in given:
        raise _Unknown("must have 1 to 200 characters")
    return given


_JUDGES: Mapping[str, Any] = {
    "types": _types,
    "recipient": parse_id,
    "message": parse_id,
    "email": lambda given: read_address(given).identity,
    "external_id": _external_id,
    "campaign": lambda given: checked_name("campaign", given),
    "topic": lambda given: checked_name("topic", given),
    "verdict": lambda given: _one_of(VERDICTS, given),
    "since": parse_time,
    "until": parse_time,
}
