"""Serving: the one server of an installation, from its checks to its end."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..app import create_app
from ..settings import Settings, from_environment
from ..storage.database import Unavailable
from ..storage.installation import Files, Prepared
from ..storage.keyfile import secrets_of
from ..storage.locks import FileLock
from ..storage.shared import Place, place_of, shared_keyring
from .crew import run_crew
from .listener import listening
from .logs import start_logging
from .misspelt import misspelt
from .opening import prepared
from .output import json_option, show
from .server import run

log = logging.getLogger(__name__)

_ONE_ALONE = (
    "--workers is for PostgreSQL: one process alone may write an SQLite file, which gives its journal one order. "
    "Leave it out, or set TRACKER_DATABASE_URL=postgresql://... (tracker copy moves what there is)"
)


@click.command(short_help="Serve pixels, links, opt-outs and the API.")
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 takes a free one.  [default: 8000]")
@click.option("--fd", type=int, help="Listen on this open socket instead, as service managers hand it over.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that answer, of a PostgreSQL; as many as there are processors.",
)
@json_option
def serve(host: str | None, port: int | None, fd: int | None, workers: int, as_json: bool) -> None:
    """Serve pixels, links, opt-outs and the API, with the worker beside.

    In an empty folder it creates the database and the signing keys. It ends on SIGTERM or Ctrl-C, after
    answering the requests it has begun.
    """
    settings = from_environment(host=host, port=port)
    place = place_of(settings.database_url)
    if workers > 1 and isinstance(place, Files):
        raise click.ClickException(_ONE_ALONE)
    with _only_server(place), listening(settings, fd) as listener:
        done = asyncio.run(_prepared_or_waiting(settings))
        _check_writable(place)
        # What stops a start is a sentence; from here on there is a log.
        start_logging(settings.log_level, settings.log_format)
        _introduce(settings, place, done, listener, as_json=as_json)
        if workers > 1:
            run_crew(listener, workers)
        else:
            run(settings, create_app(settings, done.keyring), listener)


async def _prepared_or_waiting(settings: Settings) -> Prepared:
    """The installation, or its keys alone while its server cannot be reached: clicks need no more."""
    try:
        return (await prepared(settings))[1]
    except Unavailable:
        return Prepared([], shared_keyring(secrets_of(settings.secret_keys), settings.signing_key), new=False)


@contextmanager
def _only_server(files: Place) -> Iterator[None]:
    if not isinstance(files, Files):
        yield
        return
    if not files.main.parent.is_dir():
        raise click.ClickException(f"the folder of the database {files.main} does not exist: make it first")
    held = f"{files.main} is served by another process already: one server at a time works on an SQLite file"
    with FileLock(files.server_lock, held):
        yield


def _check_writable(files: Place) -> None:
    if not isinstance(files, Files):
        return
    # SQLite opens a read-only file without a complaint, and says so at the first event only.
    for file in (files.main, files.inbox):
        if not os.access(file, os.W_OK):
            raise click.ClickException(f"cannot write to the database {file}: check its owner and its permissions")


def _introduce(settings: Settings, place: Place, done: Prepared, listener: socket.socket, *, as_json: bool) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    what = "with its inbox and signing keys" if isinstance(place, Files) else "in an empty one"
    made = f"Created the database {place.name} {what}.\n" if done.new else ""
    sentence = (
        f"{made}Tracker listens on {address}; links begin with {settings.base_url}.\n"
        "Make an account and its API key, also while this runs:  tracker account create NAME"
    )
    shown = {"address": address, "base_url": settings.base_url, "database": place.name, "created": done.new}
    show(shown, sentence, as_json=as_json)
    sys.stdout.flush()
    for warning in misspelt():
        log.warning(warning)
    if not settings.base_url.startswith("https://"):
        log.warning("TRACKER_BASE_URL is not https: mail programs offer one-click unsubscribe over https only")
