"""What the table of the API is made of: one entry an operation, which routes, checks and documents it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from ..storage.accounts import Account
from ..storage.api_keys import Access
from .bodies import Body

Q = TypeVar("Q")
B = TypeVar("B")


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class PathParameter:
    """A part of a path that names something.

    ``read`` makes of what the router found what the handler gets; it may raise ``Problem``.
    """

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    read: Callable[[Any], Any] = _as_it_is


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How an operation answers when it went well; ``content`` is the type of the body, None for an empty one.

    ``headers`` are names of :data:`HEADERS`.
    """

    status: int
    description: str
    content: Any = None
    media_type: str = "application/json"
    headers: Sequence[str] = ()
    example: Any = None


HEADERS: Mapping[str, str] = {
    "Allow": "The methods that this path answers.",
    "Link": "Where the next page is, with rel=next, as long as there is one (RFC 8288).",
    "Location": "Where the new thing is.",
    "Request-Id": "The id this request has in the log of the server.",
    "Retry-After": "After how many seconds to ask again.",
    "Tracker-Lag": "By how many seconds the answer is behind, if it is.",
    "WWW-Authenticate": "That a key is needed, and how it is sent.",
}
"""What each header of an answer says."""


_BODY_PROBLEMS = ("not-json", "too-large", "unsupported-media-type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An entry of the table: all there is to say of a route but how it is done.

    ``name`` is unique and in lower case: generated clients call their methods by it. ``path`` is written as Starlette
    does. ``query`` is a struct of the parameters: texts as they came, whole numbers within their bounds, and lists of
    texts for what may be repeated. ``problems`` are those that not every operation has: names of
    :data:`~.problems.TYPES`.
    """

    name: str
    subject: str
    method: str
    path: str
    scope: str
    summary: str
    answers: Sequence[Answer]
    description: str = ""
    path_parameters: Sequence[PathParameter] = ()
    query: type[Any] | None = None
    body: Body | None = None
    problems: Sequence[str] = ()

    @property
    def possible_problems(self) -> tuple[str, ...]:
        """Every problem a request may end in, those of the steps it takes before its handler included."""
        of_body = _BODY_PROBLEMS if self.body is not None else ()
        return ("unauthorized", "missing-scope", *of_body, "invalid", *self.problems, "failed", "unavailable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Q, B]):
    """What a handler gets once everything the table says has been checked.

    ``access`` is what the key opens. ``query`` and ``body`` are as the operation declares them, None where it declares
    none; ``path`` holds what its path parameters were read as.
    """

    account: Account
    access: Access
    path: Mapping[str, Any]
    query: Q
    body: B
    request: Request


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation and the handler that does it.

    ``permit`` is asked before the body is read, and may raise ``Problem``.
    """

    operation: Operation
    handler: Callable[[Call[Any, Any]], Awaitable[Response]]
    permit: Callable[[Account], None] | None = None
