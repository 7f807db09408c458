"""Items of bulk calls: each is read by itself, so that a bad one is an answer and never fails the others."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

import msgspec
from starlette.requests import Request

from .bodies import KIB, JsonBody, decoded, flaw_in, read_bytes
from .bulk import LARGE
from .problems import Flaw, Problem, flawed

T = TypeVar("T")

MOST_ITEMS = 10_000
"""Of one call."""

LARGEST_ITEM = 256 * KIB
"""Bytes of one item that are looked into. The largest that fits has 130 KiB."""

FEW_ENOUGH = msgspec.Meta(max_length=MOST_ITEMS)
"""Of a list of items."""

_TOO_LARGE = f"has more than {LARGEST_ITEM // KIB} KiB"
_UNREADABLE = "cannot be read: half a surrogate pair, a number without measure, no UTF-8, or nested too deeply"

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TEXTS = re.compile(_TEXT, re.DOTALL)


def _up_to(signs: bytes) -> re.Pattern[bytes]:
    """Goes on to the next of the signs outside of texts, or to the end, or past so many texts: in one piece it would
    not let go of the interpreter."""
    other = rb'[^"' + signs + rb"]*+"
    return re.compile(other + rb"(?:" + _TEXT + other + rb"){0,500}+([" + signs + rb"]?)", re.DOTALL)


_OPENING = (b"[", b"{")
_MOST_SIGNS = 500_000
"""Brackets, and commas between items. A call of ten thousand items needs a tenth; a million take seconds to find."""

_BRACKET = _up_to(rb"\[\]{}")
_BRACKET_OR_COMMA = _up_to(rb"\[\]{},")


def shown_as(item: str) -> msgspec.Meta:
    """How documents show a raw item: as a struct of this name, or anything else, which gets an answer too."""
    return msgspec.Meta(extra_json_schema={"anyOf": [{"$ref": f"#/components/schemas/{item}"}, {}]})


class ItemsBody(JsonBody[T]):
    """A JSON body with a list of raw items in the field ``items``, of which the JSON library sees one at a time.

    Given all of them at once it would make an object of each before it counted them, of millions where thousands are
    allowed, and fail the call for a value in one of them that Python has no place for.
    """

    def __init__(self, wanted: type[T], limit: int, *, items: str, parts: Sequence[Any] = (), example: Any) -> None:
        super().__init__(wanted, limit, parts=parts, example=example)
        self._items = items

    async def read(self, request: Request) -> T:
        """The body. Raises ``Problem`` as :func:`read_json` does."""
        body = await read_bytes(request, self.limit, self.media_types)
        return await asyncio.to_thread(self._decoded, body) if len(body) > LARGE else self._decoded(body)

    def _decoded(self, body: bytes) -> T:
        rest, items = without_items(body, self._items)
        wanted = decoded(rest, self._wanted)
        if items:
            setattr(wanted, self._items, [msgspec.Raw(item) for item in items])
        return wanted


def without_items(body: bytes, name: str) -> tuple[bytes, list[bytes]]:
    """The body with the list of that name empty, and the items of that list, none of which is looked into.

    What is no JSON outside of the items is none in the body that is given back. Raises ``Problem`` 422 once there are
    more than ``MOST_ITEMS``, or brackets without end.
    """
    signs, rest, items, kept, depth = _Signs(body), bytearray(), list[bytes](), 0, 0
    while signs.at < len(body):
        start, sign = signs.at, signs.next(_BRACKET)
        if sign == b"[" and depth == 1 and _ends_in_key(body[start : signs.at - 1], name):
            # The last list of that name counts, as the JSON library has it.
            rest += body[kept : signs.at]
            items = _items(signs, name)
            kept = signs.at
        depth += 1 if sign in _OPENING else -1
    return bytes(rest + body[kept:]), items


class _Signs:
    """Goes through a body from one sign of structure to the next; ``at`` is where the last one ended."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self._left = _MOST_SIGNS

    def next(self, pattern: re.Pattern[bytes]) -> bytes:
        """The next sign; none at the end of what can be read. Raises ``Problem`` 422 when there were too many."""
        self._left -= 1
        if not self._left:
            raise flawed([Flaw("#", "has far more values within each other than a call can need")])
        while found := pattern.match(self.body, self.at):
            if found[1] or found.end() == self.at:
                break
            self.at = found.end()
        if not (found and found[1]):
            self.at = len(self.body)
            return b""
        self.at = found.end()
        return found[1]


def _ends_in_key(before: bytes, name: str) -> bool:
    """Whether the last of what stands before a value is this key, however it is written."""
    key = None
    for key in _TEXTS.finditer(before):  # noqa: B007
        pass
    if key is None or before[key.end() :].strip() != b":":
        return False
    try:
        return bool(json.loads(key[0]) == name)
    except ValueError:
        return False


def _items(signs: _Signs, name: str) -> list[bytes]:
    """The items of the list that begins there; then the sign comes that ends it."""
    items, start, depth = list[bytes](), signs.at, 0
    while signs.at < len(signs.body):
        sign = signs.next(_BRACKET if depth else _BRACKET_OR_COMMA)
        if sign in _OPENING:
            depth += 1
        elif depth:
            depth -= 1
        elif sign:
            items.append(signs.body[start : signs.at - 1])
            _check_number(items, name)
            start = signs.at
            if sign != b",":
                signs.at -= 1
                return [] if _is_blank(items) else items
    return []


def _is_blank(items: Sequence[bytes]) -> bool:
    return len(items) == 1 and not items[0].strip()


def _check_number(items: Sequence[bytes], name: str) -> None:
    if len(items) > MOST_ITEMS:
        raise flawed([Flaw(f"#/{name}", f"Expected array of length <= {MOST_ITEMS}")])


def read_item(raw: msgspec.Raw, wanted: type[T], pointer: str) -> T | Flaw:
    """The item at ``pointer`` as a ``wanted``, or what is wrong with it. Raises ``Problem`` 400 when it is no JSON."""
    item = bytes(raw)
    if len(item) > LARGEST_ITEM:
        return Flaw(pointer, _TOO_LARGE)
    try:
        return msgspec.json.decode(item, type=wanted)
    except msgspec.ValidationError as error:
        flaw = flaw_in(error, pointer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        flaw = Flaw(pointer, _UNREADABLE)
    _check_grammar(item, pointer)
    return flaw


def _check_grammar(item: bytes, pointer: str) -> None:
    """JSON's grammar allows numbers of any size and half surrogate pairs (RFC 8259, sections 6 and 8.2)."""
    try:
        _loosely(item.decode(errors="replace"))
    except RecursionError:
        pass
    except ValueError:
        raise Problem("not-json", f"The body cannot be read as JSON: look at {pointer}.") from None


def text_in(raw: msgspec.Raw, name: str) -> str | None:
    """What a bad item holds under this name, if that is text: who sent it finds the row by it."""
    item = bytes(raw)
    try:
        found = _loosely(item.decode()) if len(item) <= LARGEST_ITEM else None
        text = found.get(name) if isinstance(found, dict) else None
        # Half a surrogate pair cannot be given back.
        return text.encode().decode() if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _loosely(item: str) -> Any:
    return json.loads(item, parse_constant=_refuse, parse_int=float)


def _refuse(constant: str) -> NoReturn:
    """NaN and the infinities, which Python reads."""
    raise ValueError(constant)
