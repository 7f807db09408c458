"""What commands print: sentences and tables for people, JSON for programs."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """The option every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def show(content: object, sentence: str, *, as_json: bool, aside: bool = False) -> None:
    """Print the content as JSON, or the sentence; ``aside`` is on standard error."""
    click.echo(msgspec.json.encode(content).decode() if as_json else sentence, err=aside)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under their heads, in columns as wide as they need to be."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, tuple("-" * width for width in widths), *rows)
    )
    return "\n".join(lines)
