"""Exporting the list of suppressions into a file."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click

from ..domain.suppressions import ORIGINS, REASONS, SCOPES
from .list_client import ListClient
from .lists import LINE_EVERY, format_of, list_options, run_stoppable, written_to
from .output import show
from .progress import Progress
from .reaching import reached

_STDOUT = "-"


@click.command("export", short_help="Export an account's suppressions.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@list_options
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--reason", type=click.Choice(REASONS), help="Only rows of this reason.")
@click.option("--scope", type=click.Choice(SCOPES), help="Only rows of the account, or of topics.")
@click.option("--topic", help="Only rows of this topic.")
@click.option("--origin", type=click.Choice(ORIGINS), help="Only rows that the person, the customer or a report gave.")
@click.option("--since", metavar="TIME", help="Only rows since this time, such as 2026-11-22T10:00:00Z.")
def export_list(
    file: str,
    account: bytes | None,
    url: str | None,
    given_format: str | None,
    *,
    force: bool,
    as_json: bool,
    **filters: str | None,
) -> None:
    """Export an account's suppressions to FILE ("-" is standard output), as CSV or NDJSON.

    With --account the list comes from the server of this installation; where none runs, one is started for the
    time. For a server elsewhere set TRACKER_API_KEY and give --url. FILE is there once it is whole, and is for its
    owner's eyes only: it holds addresses.
    """
    question = {"format": format_of(given_format, file)}
    question.update({name: value for name, value in filters.items() if value is not None})
    with _written(file, force=force) as out, Progress(quiet=as_json, line_every=LINE_EVERY) as progress:
        size = run_stoppable("the export", _export(out, question, account, url, progress))
    target = "standard output" if file == _STDOUT else file
    content, sentence = {"file": file, "bytes": size}, f"Wrote {size:,} bytes to {target}."
    show(content, sentence, as_json=as_json, aside=file == _STDOUT)


async def _export(
    out: BinaryIO, question: Mapping[str, str], account: bytes | None, url: str | None, progress: Progress
) -> int:
    size = 0
    async with (
        reached(account, url, "suppressions:read") as api,
        ListClient(api) as client,
        aclosing(client.export(question)) as pieces,
    ):
        async for piece in pieces:
            out.write(piece)
            size += len(piece)
            progress.tell("exporting", size, None)
    return size


@contextmanager
def _written(file: str, *, force: bool) -> Iterator[BinaryIO]:
    """Gives what to write to; the file is there once it is whole, and untouched where it never is."""
    if file == _STDOUT:
        with written_to(file):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    path = Path(file).resolve()
    if path.exists() and not path.is_file():
        raise click.ClickException(f"{file} is no regular file: name another, or - for standard output")
    if path.exists() and not force:
        raise click.ClickException(f"{file} is there already: name another file, or replace it with --force")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise click.ClickException(f"cannot write beside {file}: {error.strerror}") from None
    try:
        with written_to(file):
            with os.fdopen(handle, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            Path(name).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()
