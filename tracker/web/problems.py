"""What goes wrong, said the way RFC 9457 says it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

TYPES: Mapping[str, tuple[int, str]] = {
    "not-json": (400, "The body is not JSON"),
    "not-text": (400, "The body is not text in UTF-8"),
    "bad-cursor": (400, "The cursor is not one of ours"),
    "bad-idempotency-key": (400, "The Idempotency-Key cannot be one"),
    "unauthorized": (401, "A valid API key is needed"),
    "missing-scope": (403, "The API key may not do this"),
    "account-blocked": (403, "The account is blocked for abuse"),
    "account-not-confirmed": (403, "The operator has not confirmed this account"),
    "not-found": (404, "There is no such thing here"),
    "method-not-allowed": (405, "This method is not allowed here"),
    "recipient-suppressed": (409, "The recipient must not be written to"),
    "lift-forbidden": (403, "The operator of this server lifts no opt-outs"),
    "consent-too-old": (409, "The opt-out is younger than this consent"),
    "not-an-opt-out": (409, "Only a person's own opt-out can be lifted"),
    "opt-out-is-final": (409, "This suppression cannot be deleted"),
    "too-many-keys": (409, "The account has all the API keys it may have"),
    "last-key": (409, "The account would be left without a key to make keys with"),
    "idempotency-key-in-use": (409, "A request with this Idempotency-Key is under way"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body is of a kind this route does not read"),
    "invalid": (422, "The request is not valid"),
    "idempotency-key-reused": (422, "This Idempotency-Key belongs to another request"),
    "quota-exceeded": (429, "There were too many requests"),
    "too-many-at-once": (429, "A large call is under way"),
    "too-many-failures": (429, "Too many wrong API keys came from this network"),
    "account-limited": (429, "The account has made its messages of today"),
    "failed": (500, "The server failed"),
    "unavailable": (503, "The server cannot answer this now"),
}
"""Status and title by name; the name is also the last part of the problem's ``type``."""


class Flaw(NamedTuple):
    """One thing wrong with a request; ``pointer`` is a JSON Pointer fragment such as ``#/recipient/email``."""

    pointer: str
    detail: str


def pointer_part(name: str) -> str:
    """A name as it stands in a JSON Pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


class Problem(Exception):
    """Ends a request with the problem of that name."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        flaws: Sequence[Flaw] = (),
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.flaws = flaws
        self.headers = dict(headers or {})
        self.members = members


def invalid(pointer: str, detail: str) -> Problem:
    """The problem of one flaw."""
    return flawed([Flaw(pointer, detail)])


def flawed(flaws: Sequence[Flaw]) -> Problem:
    """The problem of these flaws; there is at least one."""
    first = flaws[0]
    where = first.pointer.removeprefix("#").removeprefix("/").replace("/", ".") or "the body"
    return Problem("invalid", f"{where}: {first.detail}", flaws=flaws)


def problem_response(problem: Problem, base_url: str) -> Response:
    """The answer to a request that ended in ``problem``."""
    status, title = TYPES[problem.name]
    body: dict[str, Any] = {
        "type": f"{base_url}/problems/{problem.name}",
        "title": title,
        "status": status,
        "detail": problem.detail,
        **problem.members,
    }
    if problem.flaws:
        body["errors"] = [flaw._asdict() for flaw in problem.flaws]
    return Response(msgspec.json.encode(body), status, problem.headers, "application/problem+json")
