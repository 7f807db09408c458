"""The demo as it is shown: coloured in a terminal, plain lines everywhere else."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence

import click

from ..demo.steps import Step, Table
from ..demo.wire import Exchange
from .output import table

_WIDTH_WITHOUT_TERMINAL = 100
_NARROWEST, _WIDEST = 64, 140
_MOST_ROWS = 20
_NARROWEST_CELL = 8
_GAP = 2
_TOKEN = re.compile(r"(?<=/[cou]/)([\w-]{4})[\w.-]+([\w-]{4})(?=\.gif\Z|\Z)")
_INDENT, _TABLE_INDENT = " " * 8, " " * 4
_HEAD_LINES = 2


class Screen:
    """Writes whole lines only; what comes from a newsletter or a server can steer no terminal."""

    def __init__(self, write: Callable[[str], None], *, width: int, colour: bool) -> None:
        self._write = write
        self._width = min(max(width, _NARROWEST), _WIDEST)
        self._colour = colour

    def line(self, text: str = "") -> None:
        """A line in full, however long: what it holds is there to be copied."""
        self._write(printable(text))

    def heading(self, text: str) -> None:
        """A line that begins something."""
        self._write(self._style(printable(text), bold=True))

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Names and values, one below the other; values in full."""
        widest = max(len(name) for name, _ in facts)
        for name, value in facts:
            self._write(f"  {self._style(name.ljust(widest), dim=True)}  {printable(value)}")

    def step(self, step: Step) -> None:
        """What was claimed, what was sent and came, and what there is to see of it."""
        word, colour = ("ok", "green") if step.good else ("FAILED", "red")
        number = self._style(f"{step.number:>2}", bold=True)
        self._write(
            f"{number}  {self._style(word, fg=colour, bold=not step.good)}  {self._style(step.claim, bold=True)}"
        )
        if step.flaw is not None:
            self._write(self._style(f"{_INDENT}{printable(step.flaw)}", fg="red"))
        for exchange in step.exchanges:
            self._show_exchange(exchange)
        if step.table is not None:
            self._show_table(step.table)
        self._write("")

    def _show_exchange(self, exchange: Exchange) -> None:
        sent = printable(f"{exchange.method:<4} {shortened_path(exchange.path):<23} {exchange.sent:<21} ")
        came, room = printable(exchange.came), self._width - len(_INDENT) - len(sent) - 5
        shown = f"{_INDENT}{self._style(sent, dim=True)} {self._style(str(exchange.status), fg='cyan')}"
        if len(came) <= room:
            self._write(f"{shown}  {came}")
        else:
            self._write(shown)
            self._write(f"{_INDENT}  {shortened(came, self._width - len(_INDENT) - 2)}")

    def _show_table(self, shown: Table) -> None:
        rows = [tuple(map(printable, row)) for row in shown.rows[:_MOST_ROWS]]
        self._write("")
        if rows:
            lines = fitted(shown.heads, rows, self._width - len(_TABLE_INDENT)).splitlines()
            for number, text in enumerate(lines):
                self._write(f"{_TABLE_INDENT}{self._style(text, dim=True) if number < _HEAD_LINES else text}")
        if (more := len(shown.rows) - len(rows)) > 0:
            self._write(f"{_TABLE_INDENT}and {more} more")
        if shown.sentence:
            self._write(f"{_TABLE_INDENT}{shown.sentence}")

    def _style(self, text: str, **style: bool | str) -> str:
        return click.style(text, **style) if self._colour else text  # type: ignore[arg-type]


def screen_of_terminal() -> Screen:
    """Standard output, in colour if it is a terminal and ``NO_COLOR`` is not set (no-color.org)."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((_WIDTH_WITHOUT_TERMINAL, 24)).columns if terminal else _WIDTH_WITHOUT_TERMINAL
    return Screen(click.echo, width=width, colour=terminal and not os.environ.get("NO_COLOR"))


def blank_screen() -> Screen:
    """Shows nothing."""
    return Screen(lambda _: None, width=_WIDTH_WITHOUT_TERMINAL, colour=False)


def fitted(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """The table no wider than ``width``, if its widest columns can give as much."""
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    while sum(widths) + _GAP * (len(widths) - 1) > width and max(widths) > _NARROWEST_CELL:
        widths[widths.index(max(widths))] -= 1
    return table(heads, [[shortened(cell, most) for cell, most in zip(row, widths, strict=True)] for row in rows])


def shortened(text: str, most: int) -> str:
    """At most that many characters, with an ellipsis for what is left out."""
    return text if len(text) <= most else f"{text[: max(most - 1, 0)]}…"


def shortened_path(path: str) -> str:
    """A path with the beginning and the end of its token: whole ones fill a line and tell nobody anything."""
    return _TOKEN.sub(r"\1…\2", path)


def printable(text: str) -> str:
    """The text on one line, without anything a terminal would obey."""
    return "".join(character if character.isprintable() else "�" for character in text)
