"""What the commands for whole lists have in common: whose list, how its file is written, and how they are stopped."""

import asyncio
import re
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from ..domain.ids import BadId, parse_account_id
from ..storage.database import Unavailable
from ..storage.locks import Locked
from .output import json_option

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

FORMATS = ("csv", "ndjson")

LINE_EVERY = 10_000_000
"""Bytes after which a line tells how far it is, where there is no bar."""


def list_options(command: F) -> F:
    """The options both commands have."""
    options = (
        click.option("--account", callback=_account, metavar="ID", help="An account of this installation."),
        click.option("--url", callback=_url, help="Where the server answers, if the settings do not say it."),
        click.option("--format", "given_format", type=click.Choice(FORMATS), help="[default: as FILE ends, else csv]"),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def format_of(given: str | None, file: str) -> str:
    """The format that was given, or the one a file of this name has."""
    return given or ("ndjson" if Path(file).suffix.lower() in (".ndjson", ".jsonl") else "csv")


@contextmanager
def written_to(file: str) -> Iterator[None]:
    """Says of which file it is that something cannot be written. A reader that has gone is for click to end with."""
    try:
        yield
    except (BrokenPipeError, Locked, Unavailable):
        raise
    except OSError as error:
        name = "to standard output" if file == "-" else file
        raise click.ClickException(f"cannot write {name}: {error.strerror}") from None


def run_stoppable(what: str, work: Coroutine[Any, Any, T]) -> T:
    """Its result. A signal ends the work as an error does: what it has begun is cleared away, once."""
    return asyncio.run(_stoppable(what, work))


async def _stoppable(what: str, work: Coroutine[Any, Any, T]) -> T:
    loop, working, signals = asyncio.get_running_loop(), asyncio.ensure_future(work), list[signal.Signals]()

    def stop(number: signal.Signals) -> None:
        if not signals:
            working.cancel()
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    try:
        return await working
    except asyncio.CancelledError:
        raise click.ClickException(f"{what} was stopped by {signals[0].name}: run the command again") from None


def _account(_: click.Context, __: click.Parameter, given: str | None) -> bytes | None:
    try:
        return parse_account_id(given) if given is not None else None
    except BadId as error:
        raise click.BadParameter(str(error)) from None


def _url(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    if given is not None and not given.startswith(("http://", "https://")):
        raise click.BadParameter("must begin with https:// or http://")
    if given is not None and not _is_address(given):
        raise click.BadParameter("is no address of a server: it looks like https://t.example.com")
    return given


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and re.search(r"\s|[?#@]", url) is None
    except ValueError:
        return False
