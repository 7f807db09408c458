"""What a customer may ask about events, read from a query or a body and judged alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from ..domain.addresses import InvalidAddress, read_address
from ..domain.ids import BadId, parse_id
from ..domain.times import BadTime, parse_time
from ..storage.events import EventFilter
from .names import checked_name
from .parameters import single_parameters, whole_number
from .problems import Flaw, flawed

EVENT_TYPES = ("opened", "clicked", "unsubscribed", "resubscribed", "complained", "bounced")
VERDICTS = ("human", "machine", "unknown")
MOST_ROWS = 1_000
LAST_SEQUENCE = 2**63 - 1


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


class EventSearch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a search: the parameters of the list, and ``email``."""

    type: str | list[str] | None = None
    recipient: str | None = None
    email: str | None = None
    external_id: str | None = None
    campaign: str | None = None
    message: str | None = None
    topic: str | None = None
    verdict: str | None = None
    since: str | None = None
    until: str | None = None
    order: str = "desc"
    cursor: str | None = None
    limit: int = 100


def question_of_query(query: QueryParams) -> EventQuestion:
    """The question of a GET; an address never stands in a URL, so ``email`` is refused like any unknown name."""
    known = [name for name in EventSearch.__struct_fields__ if name != "email"]
    given: dict[str, Any] = dict(single_parameters(query, known, repeatable="type"))
    if "type" in given:
        given["type"] = query.getlist("type")
    if "limit" in given:
        given["limit"] = whole_number("limit", given["limit"], low=1, high=MOST_ROWS)
    return question_of_search(EventSearch(**given))


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
