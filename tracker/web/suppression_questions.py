"""What a customer may ask about suppressions, read from a query and judged."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..domain.suppressions import ORIGINS, REASONS, SCOPES, Origin, Reason, Scope
from ..domain.times import BadTime, Time, parse_time
from ..storage.suppression_rows import SuppressionFilter
from .fields import ID_SCHEMA, Cursor, Limit, Topic
from .names import checked_name
from .operations import PathParameter
from .problems import Flaw, flawed

SUPPRESSION_ID = PathParameter(name="id", description="The suppression's id.", schema=ID_SCHEMA)

Since = Annotated[Time, Meta(description="Made from this time on.")]


class SuppressionsFilter(msgspec.Struct, frozen=True):
    """Which rows are asked for; filters must all hold."""

    reason: Reason | None = None
    scope: Scope | None = None
    topic: Topic | None = None
    origin: Origin | None = None
    since: Since | None = None


class SuppressionsQuery(SuppressionsFilter, frozen=True):
    """The parameters of the list."""

    cursor: Cursor | None = None
    limit: Limit = 100


class SuppressionQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A filter and how its answer is paged."""

    filter: SuppressionFilter
    limit: int
    cursor: str | None

    @property
    def signature(self) -> bytes:
        """What a cursor is bound to: every part of the question but where it goes on."""
        return msgspec.msgpack.encode(msgspec.structs.astuple(self.filter))


def question_of_query(query: SuppressionsQuery) -> SuppressionQuestion:
    """The question of a GET. Raises ``Problem`` 422 with every flaw found."""
    return SuppressionQuestion(filter=filter_of_query(query), limit=query.limit, cursor=query.cursor)


def filter_of_query(query: SuppressionsFilter) -> SuppressionFilter:
    """Which rows are asked for. Raises ``Problem`` 422 with every flaw found."""
    given = {name: getattr(query, name) for name in _JUDGES}
    flaws: list[Flaw] = []
    values = {name: _judged(name, value, flaws) for name, value in given.items() if value is not None}
    if flaws:
        raise flawed(flaws)
    return SuppressionFilter(**values)


def _judged(name: str, given: str, flaws: list[Flaw]) -> Any:
    try:
        return _JUDGES[name](given)
    except (BadTime, BadWord) as error:
        flaws.append(Flaw(f"#/{name}", str(error)))
        return None


class BadWord(ValueError):
    """Not a word that may stand here; the message says which may."""


def one_of(words: Sequence[str], given: str) -> str:
    """The word, if it is one of these. Raises :class:`BadWord`."""
    if given not in words:
        raise BadWord(f"must be one of {', '.join(words)}")
    return given


_JUDGES: Mapping[str, Any] = {
    "reason": lambda given: one_of(REASONS, given),
    "scope": lambda given: one_of(SCOPES, given),
    "topic": lambda given: checked_name("topic", given),
    "origin": lambda given: one_of(ORIGINS, given),
    "since": parse_time,
}
