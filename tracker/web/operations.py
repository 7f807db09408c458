"""What the table of the API is made of: one entry an operation, which routes, checks and documents it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from ..domain.audit import AuditEntry, new_entry
from ..domain.receipts import LONGEST_KEY
from ..storage.accounts import Account
from ..storage.api_keys import Access
from .bodies import Body
from .idempotency import HEADER, REPLAYED, Once
from .quotas import RATE_LIMIT, RATE_LIMIT_POLICY

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
class HeaderParameter:
    """A header field that a request may carry."""

    name: str
    description: str
    schema: Mapping[str, Any]


IDEMPOTENCY_KEY = HeaderParameter(
    name=HEADER,
    description="A name for this call, made at random: sent again under it within 24 hours, the call is answered again "
    "and not carried out again. What only asks is answered anew, and nobody is accepted "
    "who must not be written to by then.",
    schema={"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How an operation answers when it went well; ``content`` is the type of the body, None for an empty one.

    ``other_media_types`` are those it has when it was asked for them; the example is of the first.

    ``parts`` are the types that its schema names but does not hold. ``headers`` are names of :data:`HEADERS`.
    """

    status: int
    description: str
    content: Any = None
    media_type: str = "application/json"
    other_media_types: Sequence[str] = ()
    headers: Sequence[str] = ()
    example: Any = None
    parts: Sequence[Any] = ()


HEADERS: Mapping[str, str] = {
    "Allow": "The methods that this path answers.",
    "Content-Disposition": "What to call the file.",
    REPLAYED: "“true” when the call had been carried out before, under the same Idempotency-Key.",
    "Link": "Where the next page is, with rel=next, as long as there is one (RFC 8288).",
    "Location": "Where the new thing is.",
    RATE_LIMIT: "For the key and for the account: how many requests are left (r) and in how many seconds all are (t).",
    RATE_LIMIT_POLICY: "For the key and for the account: how many requests there are (q) in how many seconds (w).",
    "Request-Id": "The id this request has in the log of the server.",
    "Retry-After": "After how many seconds to ask again.",
    "Tracker-Lag": "By how many seconds the answer is behind, if it is.",
    "WWW-Authenticate": "That a key is needed, and how it is sent.",
}
"""What each header of an answer says."""


_EVERY_PROBLEM = ("unauthorized", "missing-scope", "quota-exceeded", "too-many-failures")
_BODY_PROBLEMS = ("not-json", "too-large", "unsupported-media-type")
_KEY_PROBLEMS = ("idempotency-key-in-use", "idempotency-key-reused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An entry of the table: all there is to say of a route but how it is done.

    ``name`` is unique and in lower case: generated clients call their methods by it. ``path`` is written as Starlette
    does. ``effect`` is the file in which it changes something, where a receipt keeps a POST from being carried out
    twice; None for one that can as well be asked again. ``bulk`` says that it may take or give very much, of which an
    account gets one at a time. ``audit`` is the action it has in the audit trail, one of
    :data:`~..domain.audit.ACTIONS`: a look is recorded before it is answered, a change by its handler, in the
    transaction of the change. It is None for the sending of mail, and for reading that names no person in bulk.
    ``query`` is a struct of the parameters: texts as they came, whole numbers within their bounds, and lists of texts
    for what may be repeated. ``problems`` are those that not every operation has: names of :data:`~.problems.TYPES`.
    """

    name: str
    subject: str
    method: str
    path: str
    scope: str
    summary: str
    answers: Sequence[Answer]
    effect: Literal["main", "inbox"] | None = None
    bulk: bool = False
    audit: str | None = None
    description: str = ""
    path_parameters: Sequence[PathParameter] = ()
    query: type[Any] | None = None
    body: Body | None = None
    problems: Sequence[str] = ()

    @property
    def possible_problems(self) -> tuple[str, ...]:
        """Every problem a request may end in, those of the steps it takes before its handler included."""
        of_header = ("bad-idempotency-key",) if self.headers else ()
        of_body = _BODY_PROBLEMS if self.body is not None else ()
        of_key = _KEY_PROBLEMS if self.effect is not None else ()
        of_bulk = ("too-many-at-once",) if self.bulk else ()
        first = (*_EVERY_PROBLEM, *of_header, *of_body, *of_key, *of_bulk)
        return (*first, "invalid", *self.problems, "failed", "unavailable")

    @property
    def headers(self) -> tuple[HeaderParameter, ...]:
        """The fields that a request may carry."""
        return (IDEMPOTENCY_KEY,) if self.method == "POST" else ()

    def headers_of(self, answer: Answer) -> tuple[str, ...]:
        """The fields of an answer, those of the steps around the handler included: names of :data:`HEADERS`."""
        return (*answer.headers, *((REPLAYED,) if self.effect is not None else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Q, B]):
    """What a handler gets once everything the table says has been checked.

    ``access`` is what the key opens. ``query`` and ``body`` are as the operation declares them, None where it declares
    none; ``path`` holds what its path parameters were read as. ``once`` keeps the effect of a POST from coming twice.
    """

    account: Account
    access: Access
    path: Mapping[str, Any]
    query: Q
    body: B
    request: Request
    once: Once
    action: str | None = None

    def entry(self, subject: str | None) -> AuditEntry:
        """The entry of the audit trail that says what is done here to ``subject``, to be stored together with it."""
        return new_entry(
            self.action or "",
            account=self.account.id,
            key=self.access.key,
            subject=subject,
            at=time.time_ns() // 1_000_000,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation and the handler that does it.

    ``permit`` is asked before the body is read, and may raise ``Problem``.
    """

    operation: Operation
    handler: Callable[[Call[Any, Any]], Awaitable[Response]]
    permit: Callable[[Account], None] | None = None
