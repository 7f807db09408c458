"""Tables in CSV (RFC 4180): read as others write them, written so that no cell is a formula."""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from .lines import BadLine, Line

_DELIMITERS = ",;\t"
_LONGEST_RECORD = 16 * 1024

# What spreadsheets take for a formula; a quote before it says that it is text.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")

_BROKEN = "a cell that begins with a quotation mark does not end as it should: a mark inside is written twice"
_TOO_LONG = "this line is too long"


class NoHeader(ValueError):
    """The first line does not say which column is which; the message says what to write."""


class Record(NamedTuple):
    """A row of a table: the line it begins on, and its cells by column."""

    line: int
    cells: Mapping[str, str]


class _Layout(NamedTuple):
    delimiter: str
    names: tuple[str, ...]
    headed: bool


class CsvTable:
    """Reads records line by line.

    ``aliases`` gives the column by the name a file may have for it, in lower case with underscores; other columns are
    left out. One of ``keys`` must be there. A file of one column may do without a header: its column is the first key.
    """

    def __init__(self, aliases: Mapping[str, str], keys: Iterable[str]) -> None:
        self._aliases = aliases
        self._keys = dict.fromkeys(keys).keys()
        self._layout: _Layout | None = None
        self._open: list[Line] = []
        self._marks = 0
        self._size = 0

    def read(self, lines: Iterable[Line]) -> Iterator[Record | BadLine]:
        """The records that are complete with these lines; empty ones are left out. Raises :class:`NoHeader`."""
        for line in lines:
            if line.text and not self._open and line.text.isspace():
                continue
            yield from self._work_off(deque((line,)))

    def end(self) -> Iterator[Record | BadLine]:
        """What a cell without an end has held back."""
        while self._open:
            work = self._given_up()
            yield self._why(work.popleft())
            yield from self._work_off(work)

    def _work_off(self, work: deque[Line]) -> Iterator[Record | BadLine]:
        while work:
            line = work.popleft()
            self._open.append(line)
            self._marks += line.text.count('"') if line.text is not None else 0
            self._size += len(line.text or "")
            if line.text is not None and self._marks % 2 and self._size <= _LONGEST_RECORD:
                continue
            cells = self._cells()
            first, *others = self._given_up()
            if cells is not None:
                yield from self._record(first.number, cells)
            else:
                # The flaw is taken to be on the first line alone: nothing below it is to be lost with it.
                yield self._why(first)
                work.extendleft(reversed(others))

    def _given_up(self) -> deque[Line]:
        held, self._open, self._marks, self._size = deque(self._open), [], 0, 0
        return held

    def _why(self, line: Line) -> BadLine:
        return BadLine(line.number, _BROKEN if line.text is not None else _TOO_LONG)

    def _cells(self) -> list[str] | None:
        if self._marks % 2 or self._open[-1].text is None:
            return None
        text = "".join(line.text or "" for line in self._open)
        if not text.strip(f"{_DELIMITERS} \r\n"):
            return []
        if self._layout is None:
            self._layout = self._layout_of(text)
        try:
            cells = _split(text, self._layout.delimiter)
        except csv.Error:
            return None
        if len(self._open) > 1 and self._swallowed_lines(cells, self._layout):
            return None
        return cells

    def _swallowed_lines(self, cells: list[str], layout: _Layout) -> bool:
        """Whether a key has a line break in it: two stray marks have made one cell of many lines."""
        pairs = zip(layout.names, cells, strict=False)
        return any(name in self._keys and ("\n" in cell or "\r" in cell) for name, cell in pairs)

    def _record(self, line: int, cells: list[str]) -> Iterator[Record | BadLine]:
        layout = self._layout
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells or layout is None:
            return
        if layout.headed:
            self._layout = layout._replace(headed=False)
        elif len(cells) > len(layout.names):
            yield BadLine(line, f"has {len(cells)} cells, where there are {len(layout.names)} columns")
        else:
            pairs = zip(layout.names, cells, strict=False)
            yield Record(line, {name: unguarded(cell) for name, cell in pairs if name})

    def _layout_of(self, first: str) -> _Layout:
        found = [(delimiter, cells) for delimiter in _DELIMITERS if (cells := _split_or_none(first, delimiter))]
        for delimiter, cells in found:
            names = tuple(self._aliases.get(_plain(cell), "") for cell in cells)
            if not self._keys.isdisjoint(names):
                return _Layout(delimiter, _each_once(names), headed=True)
        if any(sum(bool(cell.strip()) for cell in cells) > 1 for _, cells in found):
            raise NoHeader(f"line 1 must name the columns, and one of them must be {' or '.join(self._keys)}")
        delimiter = next((one for one in _DELIMITERS if one in first), ",")
        return _Layout(delimiter, (next(iter(self._keys)),), headed=False)


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in filter(None, names):
        if names.count(name) > 1:
            raise NoHeader(f"line 1 names the column {name} twice: leave one of them out")
    return names


def _split(text: str, delimiter: str) -> list[str]:
    return next(csv.reader((text,), delimiter=delimiter, strict=True), [])


def _split_or_none(text: str, delimiter: str) -> list[str] | None:
    try:
        return _split(text, delimiter)
    except csv.Error:
        return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def guarded(cell: str) -> str:
    """The cell as it stands in a file that a spreadsheet may open: no formula comes out of it (OWASP)."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """What :func:`guarded` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


def written_record(cells: Iterable[str]) -> str:
    """A record with all its cells guarded and in quotation marks, and with its end."""
    return ",".join(f'"{guarded(cell).replace(chr(34), chr(34) * 2)}"' for cell in cells) + "\r\n"
