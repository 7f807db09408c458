"""What a customer may ask about suppressions, read from a query and judged."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from ..domain.suppressions import ORIGINS, REASONS, SCOPES
from ..domain.times import BadTime, parse_time
from ..storage.suppression_rows import SuppressionFilter
from .names import checked_name
from .parameters import single_parameters, whole_number
from .problems import Flaw, flawed

MOST_ROWS = 1_000


class SuppressionQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A filter and how its answer is paged."""

    filter: SuppressionFilter
    limit: int
    cursor: str | None

    @property
    def signature(self) -> bytes:
        """What a cursor is bound to: every part of the question but where it goes on."""
        return msgspec.msgpack.encode(msgspec.structs.astuple(self.filter))


def question_of_query(query: QueryParams) -> SuppressionQuestion:
    """The question of a GET. Raises ``Problem`` 422 with every flaw found."""
    given = single_parameters(query, (*_JUDGES, "cursor", "limit"))
    limit = whole_number("limit", given.get("limit", "100"), low=1, high=MOST_ROWS)
    flaws: list[Flaw] = []
    values = {name: _judged(name, given[name], flaws) for name in _JUDGES if name in given}
    if flaws:
        raise flawed(flaws)
    return SuppressionQuestion(filter=SuppressionFilter(**values), limit=limit, cursor=given.get("cursor"))


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
