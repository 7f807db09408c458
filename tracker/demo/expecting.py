"""What a step expects, and what is wrong when it is not so."""

from contextlib import suppress

import httpx
import msgspec


class Wrong(AssertionError):
    """A step did not have the result it claims; the message says what came instead."""


class _Problem(msgspec.Struct):
    type: str
    detail: str = ""


def expect(true: bool, otherwise: str) -> None:
    """Raises :class:`Wrong` with that sentence unless it is true."""
    if not true:
        raise Wrong(otherwise)


def expect_status(answer: httpx.Response, status: int) -> None:
    """Raises :class:`Wrong` for any other status, with what the server has to say about it."""
    problem = _read_problem(answer)
    said = f": {problem.detail}" if problem and problem.detail else ""
    expect(answer.status_code == status, f"{answer.status_code} came instead of {status}{said}")


def expect_header(answer: httpx.Response, name: str, value: str) -> None:
    """Raises :class:`Wrong` unless the header is there with exactly this value."""
    given = answer.headers.get(name)
    expect(given == value, f"{name} is {given or 'missing'}, not {value}")


def problem_of(answer: httpx.Response) -> str | None:
    """The name of the problem (RFC 9457) an answer reports, without the host its page is on."""
    problem = _read_problem(answer)
    return problem.type.rpartition("/")[2] if problem else None


def _read_problem(answer: httpx.Response) -> _Problem | None:
    if answer.headers.get("content-type") == "application/problem+json":
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(answer.content, type=_Problem)
    return None
