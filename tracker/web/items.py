"""Items of bulk calls: each is read by itself, so that a bad one is an answer and never fails the others."""

from typing import Any, TypeVar

import msgspec

from .bodies import flaw_in
from .problems import Flaw

T = TypeVar("T")

MOST_ITEMS = 10_000
"""Of one call."""

FEW_ENOUGH = msgspec.Meta(max_length=MOST_ITEMS)
"""Of a list of items."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def shown_as(item: str) -> msgspec.Meta:
    """How documents show a raw item: as a struct of this name, or anything else, which gets an answer too."""
    return msgspec.Meta(extra_json_schema={"anyOf": [{"$ref": f"#/components/schemas/{item}"}, {}]})


def read_item(raw: msgspec.Raw, wanted: type[T], pointer: str) -> T | Flaw:
    """The item at ``pointer`` as a ``wanted``, or what is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=wanted)
    except msgspec.ValidationError as error:
        return flaw_in(error, pointer)
    except _UNREADABLE:
        return Flaw(pointer, "cannot be read as JSON")


def text_in(raw: msgspec.Raw, name: str) -> str | None:
    """What a bad item holds under this name, if that is text: who sent it finds the row by it."""
    try:
        found: Any = msgspec.json.decode(raw)
    except _UNREADABLE:
        return None
    text = found.get(name) if isinstance(found, dict) else None
    return text if isinstance(text, str) else None
