"""Reads what a customer sends, within limits, and says exactly what is wrong with it."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from .problems import Flaw, Problem, flawed, pointer_part

T = TypeVar("T")

KIB = 1024
MIB = 1024 * KIB


class Body(Protocol):
    """How an operation reads what it is sent, and how it documents that."""

    limit: int
    """In bytes."""
    required: bool
    content: Mapping[str, Any]
    """The type of what is read, by media type."""
    parts: Sequence[Any]
    """The types of items that are read one by one; their schemas are referred to by name."""
    example: Any

    async def read(self, request: Request) -> Any:
        """What the handler gets. Raises ``Problem``."""


class JsonBody(Generic[T]):
    """A JSON body of at most ``limit`` bytes, read as a ``wanted``; None for one that may be left out and was."""

    media_types: Sequence[str] = ("application/json",)

    def __init__(
        self, wanted: type[T], limit: int, *, required: bool = True, parts: Sequence[Any] = (), example: Any = None
    ) -> None:
        self.limit = limit
        self.required = required
        self.content: Mapping[str, Any] = dict.fromkeys(self.media_types, wanted)
        self.parts = parts
        self.example = example
        self._wanted = wanted

    async def read(self, request: Request) -> T | None:
        """The body. Raises ``Problem`` as :func:`read_json` does."""
        if not self.required and not _has_body(request):
            return None
        return await read_json(request, self._wanted, self.limit, self.media_types)


class MergePatchBody(JsonBody[T]):
    """The fields to change, as RFC 7396 writes them; plain JSON means the same."""

    media_types = ("application/merge-patch+json", "application/json")


_MOST_DIGITS = 4_000
"""Of a length that is read, zeros before it included."""

_AT = re.compile(r" - at `\$([\w.\[\]]*)`\Z")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`\Z", re.DOTALL)


async def read_json(request: Request, wanted: type[T], limit: int, media_types: Sequence[str]) -> T:
    """The body as a ``wanted``, whose fields are checked and whose unknown fields are refused by name.

    Raises ``Problem``: 413 above ``limit`` bytes, 415, 400 when it is no JSON, 422 when it does not fit.
    """
    return decoded(await read_bytes(request, limit, media_types), wanted)


async def read_bytes(request: Request, limit: int, media_types: Sequence[str]) -> bytes:
    """The body as it came. Raises ``Problem``: 413 above ``limit`` bytes, 415, 400 when it ends early."""
    _check_type(request, media_types)
    check_length(request, limit)
    return await _read(request, limit)


def decoded(body: bytes, wanted: type[T]) -> T:
    """What this JSON holds. Raises ``Problem``: 400 when it is none, 422 when it does not fit."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise flawed([flaw_in(error)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("not-json", f"The body cannot be read as JSON: {error}") from None


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _check_type(request: Request, media_types: Sequence[str]) -> None:
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if given not in media_types:
        raise Problem(
            "unsupported-media-type",
            f"Send the body as {' or '.join(media_types)}.",
            headers={"Accept": ", ".join(media_types)},
        )


def check_length(request: Request, limit: int) -> None:
    """Raises ``Problem`` 413 for a body that says it is larger than ``limit`` bytes."""
    announced = request.headers.get("content-length", "")
    # Python reads no number of more than 4,300 digits.
    if announced.isdecimal() and (len(announced) > _MOST_DIGITS or int(announced) > limit):
        raise _too_large(limit)


def _too_large(limit: int) -> Problem:
    return Problem(
        "too-large",
        f"The body may have at most {limit:,} bytes ({readable_size(limit)}).",
        # The connection stays: closed on a client that still sends, it would lose this answer.
        limit=limit,
    )


async def read_pieces(request: Request, limit: int, size: int) -> AsyncIterator[bytes]:
    """The body as it arrives, in pieces of at most ``size`` bytes.

    Raises ``Problem``: 413 once there are more than ``limit`` bytes, 400 when it ends early.
    """
    read = 0
    try:
        async for chunk in request.stream():
            read += len(chunk)
            if read > limit:
                raise _too_large(limit)
            for start in range(0, len(chunk), size):
                yield chunk[start : start + size]
    except ClientDisconnect:
        raise Problem("not-json", "The body ended early.") from None


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in read_pieces(request, limit, limit):
        body += piece
    return bytes(body)


def readable_size(limit: int) -> str:
    """A limit of bytes as a person says it."""
    return f"{limit // MIB} MiB" if limit % MIB == 0 else f"{limit // KIB} KiB"


def flaw_in(error: msgspec.ValidationError, root: str = "#") -> Flaw:
    """Where, below ``root``, a value does not fit, and why."""
    message = str(error)
    found = _AT.search(message)
    detail = message[: found.start()] if found else message
    pointer = root + _pointer(found[1] if found else "")
    if match := _UNKNOWN.match(detail):
        return Flaw(f"{pointer}/{pointer_part(match[1])}", "unknown field")
    if match := _MISSING.match(detail):
        return Flaw(f"{pointer}/{pointer_part(match[1])}", "required")
    return Flaw(pointer, detail.replace("`", ""))


def _pointer(path: str) -> str:
    """msgspec's ``.recipient.email`` or ``.recipients[3]`` as a JSON Pointer (RFC 6901)."""
    # The entries of a mapping are all called "[...]": the pointer ends at the mapping.
    parts = re.findall(r"\.([^.\[]+)|\[(\d+)\]", path.partition("[...]")[0])
    return "".join(f"/{pointer_part(name or index)}" for name, index in parts)
