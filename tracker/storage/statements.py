"""SQL statements as they stand in ``sql/``, and the two forms a backend makes of them."""

import functools
import logging
import re
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

import aiosql

# It takes every part of a statement, such as one condition, for a mistake.
logging.getLogger("aiosql").setLevel(logging.ERROR)

_LIST = re.compile(r"\bin \(:([a-z_]+)\)")
_PARAMETER = re.compile(r"(?<=\bin \():(?P<list>[a-z_]+)(?=\))|:(?P<one>[a-z_]+)")
_BULK = re.compile(r"\A(.*\bvalues\s*)(\(\s*:[a-z_]+(?:\s*,\s*:[a-z_]+)*\s*\))([^:]*)\Z", re.DOTALL)
_NAME = re.compile(r":([a-z_]+)")


def load_statements(subject: str, folder: str = "sql") -> Mapping[str, str]:
    """Read ``sql/<subject>.sql``: one statement, or one part of a statement, under each ``-- name:`` line."""
    text = (resources.files(__package__) / folder / f"{subject}.sql").read_text("utf-8")
    queries = aiosql.from_str(text, "sqlite3", mandatory_parameters=False)
    names = [name for name in queries.available_queries if not name.endswith("_cursor")]
    return MappingProxyType({name: getattr(queries, name).sql.strip() for name in names})


class Bulk(NamedTuple):
    """An ``insert ... values (...)`` taken apart, so that one statement inserts many rows."""

    head: str
    names: tuple[str, ...]
    tail: str

    def statement(self, rows: int) -> str:
        """The statement for that many rows, with positional parameters."""
        row = f"({', '.join('?' * len(self.names))})"
        return f"{self.head}{', '.join([row] * rows)}{self.tail}"


@functools.cache
def take_apart(sql: str) -> Bulk | None:
    """The parts of an insert whose values are parameters alone; None for any other statement."""
    match = _BULK.match(sql)
    if match is None or _NAME.search(match[1]):
        return None
    return Bulk(match[1], tuple(_NAME.findall(match[2])), match[3])


@functools.cache
def list_names(sql: str) -> tuple[str, ...]:
    """The parameters of a statement that are lists."""
    return tuple(_LIST.findall(sql))


def spread(sql: str, params: Mapping[str, object]) -> tuple[str, list[object]]:
    """The statement with positional parameters, its lists written out item by item, and the values in their order.

    A list is filled up to a power of two with its last item, so that few forms of a statement are ever prepared.
    """
    values: list[object] = []

    def positional(match: re.Match[str]) -> str:
        name = match["list"]
        items = [params[match["one"]]] if name is None else _filled(name, params[name])
        values.extend(items)
        # Without names: SQLite looks for each among all that stand before it, which takes seconds for thousands.
        return ", ".join("?" * len(items))

    return _PARAMETER.sub(positional, sql), values


def _filled(name: str, items: object) -> list[object]:
    if not isinstance(items, (list, tuple)):
        raise TypeError(f"the parameter {name!r} must be a list")
    width = 1 << max(len(items) - 1, 0).bit_length()
    return [*items, *([items[-1] if items else None] * (width - len(items)))]
