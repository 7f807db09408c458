"""Moves an installation between SQLite files and PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click

from ..settings import from_environment
from ..storage.copies import Copied, half_copied
from ..storage.copies import copy as copy_all
from ..storage.database import Unavailable
from ..storage.installation import Files
from ..storage.keyfile import read_key_file, secrets_of
from ..storage.locks import FileLock
from ..storage.shared import Place, SharedDatabase, place_of, prepare_place, refuse_unready_place
from .output import json_option, show
from .progress import Progress


@click.command(short_help="Move an installation from SQLite to PostgreSQL, or back.")
@click.argument("source_url", metavar="SOURCE_URL")
@click.argument("target_url", metavar="TARGET_URL")
@json_option
def copy(source_url: str, target_url: str, as_json: bool) -> None:
    """Copy a whole installation from SOURCE_URL to TARGET_URL, and compare every row at the end.

    One is that of an SQLite file, the other that of a PostgreSQL. Nobody may serve either meanwhile, and the target
    must be empty. A copy that was interrupted goes on when the same command is run again. The source stays as it is.
    Signing keys are not copied: links made before go on working with the same keys.
    """
    source, target = place_of(source_url), place_of(target_url)
    if isinstance(source, Files) == isinstance(target, Files):
        raise click.UsageError("copy goes between SQLite and PostgreSQL: tracker backup and pg_dump copy the one alone")
    with _held(source), _held(target), Progress(quiet=as_json, bytewise=False) as progress:
        copied = asyncio.run(_copy(source, target, progress))
    rows = sum(copied.rows.values())
    sentence = (
        f"Copied {rows:,} rows of {len(copied.rows)} tables to {target.name}; all are the same at both ends "
        f"(checksum {copied.checksum}).\n{_what_next(source, target_url)}"
    )
    content = {"source": source.name, "target": target.name, "rows": dict(copied.rows), "checksum": copied.checksum}
    show(content, sentence, as_json=as_json)


async def _copy(source: Place, target: Place, progress: Progress) -> Copied:
    try:
        await refuse_unready_place(source)
        if await half_copied(target):
            await refuse_unready_place(target)
        else:
            await prepare_place(target, _secrets(source))
        for place in (source, target):
            if isinstance(place, SharedDatabase):
                place.usable = True
        return await copy_all(source, target, progress.tell)
    except Unavailable as error:
        raise click.ClickException(f"the copy was interrupted, run the same command again: {error}") from None


def _secrets(source: Place) -> dict[int, bytes] | None:
    given = secrets_of(from_environment().secret_keys)
    if given is not None or not isinstance(source, Files):
        return given
    found = read_key_file(source.keys)
    return None if found is None else {number: key.secret for number, key in found.items()}


def _what_next(source: Place, target_url: str) -> str:
    keys = "Keep TRACKER_SECRET_KEYS as it is"
    if isinstance(source, Files) and source.keys.exists():
        keys = f'On every node set TRACKER_SECRET_KEYS="$(paste -sd, {source.keys})"'
    scheme = target_url.partition("://")[0]
    return f"{keys}, and TRACKER_DATABASE_URL to the {scheme} URL; then start the servers."


@contextmanager
def _held(place: Place) -> Iterator[None]:
    """Files are ours alone meanwhile; of a server's database it is asked who else is there."""
    with ExitStack() as stack:
        if isinstance(place, Files):
            if not place.main.parent.is_dir():
                raise click.ClickException(f"the folder of the database {place.main} does not exist: make it first")
            for lock in (place.server_lock, place.worker_lock):
                stack.enter_context(FileLock(lock, f"{place.main} is being served: stop the server first"))
        yield
