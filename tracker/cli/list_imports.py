"""Importing a list of suppressions from a file of any size."""

import asyncio
import io
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from ..domain.csv_tables import NoHeader, written_record
from ..domain.lines import BadLine, NotText
from ..domain.suppressions import REASONS
from ..web.import_rows import CsvRows, ImportedRow, JsonRows, Rows
from ..web.suppression_imports import Report
from .list_calls import ListCalls
from .list_client import ListClient
from .lists import LINE_EVERY, format_of, list_options, run_stoppable, written_to
from .output import show
from .progress import Progress
from .reaching import reached

_PIECE = 64 * 1024
_MOST_SHOWN = 20


@click.command("import", short_help="Import suppressions into an account.")
@click.argument("file", type=click.File("rb"))
@list_options
@click.option("--reason", type=click.Choice(REASONS), default="manual", show_default=True, help="Of rows without one.")
@click.option(
    "--errors", metavar="FILE", type=click.Path(dir_okay=False), help="Write every bad line into this file, as CSV."
)
def import_list(
    file: io.BufferedReader,
    account: bytes | None,
    url: str | None,
    given_format: str | None,
    reason: str,
    errors: str | None,
    *,
    as_json: bool,
) -> None:
    """Import the suppressions in FILE ("-" is standard input): CSV or NDJSON in UTF-8, of any size.

    A row has an "email" or a "sha256", and may have a reason, topic, note and created_at; a file of one
    column needs no header. With --account the list goes to the server of this installation; where none runs,
    one is started for the time. For a server elsewhere set TRACKER_API_KEY and give --url.

    What stands already stays as it is, so a list may be imported again, as a whole after a failure. A bad line
    fails no other; the command then ends with status 1.
    """
    rows: Rows = CsvRows() if format_of(given_format, file.name) == "csv" else JsonRows()
    with _errors_file(errors, file) as bad_lines, Progress(quiet=as_json, line_every=LINE_EVERY) as progress:
        calls = ListCalls(reason, lambda flaws: _write_down(flaws, bad_lines))
        run_stoppable("the import", _import(_lines(file, rows, progress), calls, account, url))
    report = calls.report
    show(report, f"Read {report.read:,} rows: {_counted(report)}.", as_json=as_json)
    if report.bad and not as_json:
        _show_errors(report, errors)
    sys.exit(1 if report.bad else 0)


async def _import(
    lines: AsyncIterator[tuple[int, ImportedRow] | BadLine], calls: ListCalls, account: bytes | None, url: str | None
) -> None:
    async with reached(account, url, "suppressions:write") as api, ListClient(api) as client:
        async for found in lines:
            await calls.take(found, client)
        await calls.send(client)


async def _lines(
    file: io.BufferedReader, rows: Rows, progress: Progress
) -> AsyncIterator[tuple[int, ImportedRow] | BadLine]:
    size, done = _size(file), 0
    try:
        while piece := await _read(file):
            for found in rows.feed(piece):
                yield found
            done += len(piece)
            progress.tell("importing", done, size)
        for found in rows.end():
            yield found
    except NotText as error:
        raise click.ClickException(
            f"{file.name}: {error}. Lines before it may have been imported; that does no harm to the next time"
        ) from None
    except NoHeader as error:
        raise click.ClickException(f"{file.name}: {error}") from None
    except OSError as error:
        raise click.ClickException(f"cannot read {file.name}: {error.strerror}") from None


async def _read(file: io.BufferedReader) -> bytes:
    """What is there of the file. A signal is heard while nothing comes from a pipe or a terminal."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(file.fileno(), ready.set)
    except PermissionError:
        # A file on a disk is always ready.
        return file.read1(_PIECE)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file.fileno())
    return file.read1(_PIECE)


def _size(file: io.BufferedReader) -> int | None:
    found = os.fstat(file.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


@contextmanager
def _errors_file(errors: str | None, file: io.BufferedReader) -> Iterator[TextIO | None]:
    if errors is None:
        yield None
        return
    path = Path(errors)
    if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
        raise click.UsageError("--errors names the file that is imported: name another")
    with written_to(errors), path.open("w", encoding="utf-8", newline="") as out:
        out.write(written_record(("line", "detail")))
        yield out


def _write_down(flaws: list[BadLine], errors: TextIO | None) -> None:
    if errors is not None:
        errors.writelines(written_record((str(flaw.line), flaw.detail)) for flaw in flaws)


def _counted(report: Report) -> str:
    return f"{report.added:,} added, {report.already:,} there already, {report.bad:,} bad"


def _show_errors(report: Report, errors: str | None) -> None:
    for error in report.errors[:_MOST_SHOWN]:
        click.echo(f"line {error.line:,}: {error.detail}", err=True)
    if errors is not None:
        click.echo(f"Every bad line is in {errors}.", err=True)
    elif report.bad > _MOST_SHOWN:
        click.echo(f"and {report.bad - _MOST_SHOWN:,} more: --errors FILE writes them all", err=True)
