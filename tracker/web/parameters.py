"""Reads the parameters of a query; those that are not known are refused by name."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from starlette.datastructures import QueryParams

from .problems import invalid


class QueryReader:
    """Reads a query as a struct: its names, and the bounds of its whole numbers, are those of the struct's fields."""

    def __init__(self, wanted: type[Any] | None) -> None:
        self._wanted = wanted
        self.schemas = query_schemas(wanted) if wanted is not None else {}

    def read(self, query_string: bytes) -> Any:
        """The struct. Raises ``Problem`` 422 for an unknown parameter, one given too often, what is no number, and
        what is no UTF-8."""
        query = _parsed(query_string)
        for name in query:
            if name not in self.schemas:
                raise invalid(f"#/{name}", "unknown parameter")
            if not _repeatable(self.schemas[name]) and len(query.getlist(name)) > 1:
                raise invalid(f"#/{name}", "may be given once")
        if self._wanted is None:
            return None
        return self._wanted(**{name: self._value(name, query) for name in self.schemas if name in query})

    def _value(self, name: str, query: QueryParams) -> Any:
        schema = self.schemas[name]
        if _repeatable(schema):
            return query.getlist(name)
        if schema.get("type") == "integer":
            return _whole_number(name, query[name], low=schema["minimum"], high=schema["maximum"])
        return query[name]


def read_path(found: Mapping[str, Any], raw_path: bytes) -> Mapping[str, Any]:
    """What the router found in a path. Raises ``Problem`` 422 where that was no UTF-8.

    Servers put U+FFFD in the place of each byte that is none, and many a name would become that of another.
    """
    replaced = [name for name, value in found.items() if isinstance(value, str) and "\ufffd" in value]
    if replaced and not _is_utf8(unquote_to_bytes(raw_path)):
        raise invalid(f"#/{replaced[0]}", _NOT_UTF8)
    return found


def _parsed(query_string: bytes) -> QueryParams:
    pairs = parse_qsl(query_string.decode("ascii", _KEPT), keep_blank_values=True, errors=_KEPT)
    return QueryParams([(_text(name, name), _text(name, value)) for name, value in pairs])


_KEPT = "surrogateescape"
"""How bytes that are no text are carried through a text, to be judged at its end."""


def _text(name: str, kept: str) -> str:
    written = kept.encode(errors=_KEPT)
    if not _is_utf8(written):
        raise invalid(f"#/{name.encode(errors=_KEPT).decode(errors='replace')}", _NOT_UTF8)
    return written.decode()


_NOT_UTF8 = "must be UTF-8, percent-encoded"


def _is_utf8(written: bytes) -> bool:
    try:
        written.decode()
    except UnicodeDecodeError:
        return False
    return True


def query_schemas(wanted: type[Any]) -> dict[str, dict[str, Any]]:
    """The JSON schema of each parameter, in the order of the fields; one that may be left out is not null here."""
    _, components = msgspec.json.schema_components([wanted])
    properties = components[wanted.__name__]["properties"]
    return {name: _given(schema) for name, schema in properties.items()}


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    choices = schema.get("anyOf")
    return next(choice for choice in choices if choice != {"type": "null"}) if choices else schema


def _repeatable(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "array"


def _whole_number(name: str, text: str, *, low: int, high: int) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 else None
    if number is None or not low <= number <= high:
        raise invalid(f"#/{name}", f"must be a whole number from {low} to {high}")
    return number
