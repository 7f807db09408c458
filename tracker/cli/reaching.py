"""The API as a command reaches it: of a server elsewhere, of the one that serves this installation, or of its own."""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import click

from ..demo.wire import connect, until_ready
from ..settings import Settings, from_environment
from ..storage.accounts import Accounts
from ..storage.api_keys import ApiKeys
from ..storage.installation import Files
from ..storage.locks import FileLock, Locked
from ..storage.shared import Place, place_of
from .accounts import no_account
from .child import serving
from .listener import listening
from .opening import opened

KEY_VARIABLE = "TRACKER_API_KEY"
_KEY = re.compile(r"trk_[0-9a-f]{16}_[A-Za-z0-9_-]+")


class Reached(NamedTuple):
    """Where the API answers, and the key that opens it. ``here``: it answers on this machine, past every proxy."""

    address: str
    key: str
    here: bool


@asynccontextmanager
async def reached(account: bytes | None, url: str | None, scope: str) -> AsyncIterator[Reached]:
    """The API for one command. What it changes is changed by the one process that may: the one that serves.

    With an account of this installation the command makes a key of that one scope, and revokes it in the end; where
    nobody serves, it starts a server for itself. Without one it takes the key of the environment to ``url``.
    """
    if account is None:
        yield _elsewhere(url)
        return
    settings = from_environment()
    async with _own_key(settings, account, scope) as key:
        if url is not None:
            yield Reached(url, key, here=False)
        elif _is_served(place_of(settings.database_url)):
            yield Reached(_address(settings), key, here=True)
        else:
            async with _own_server() as address:
                yield Reached(address, key, here=True)


def _elsewhere(url: str | None) -> Reached:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if url is None or not key:
        raise click.UsageError(
            f"say whose list: --account ID for one of this installation, or --url with an API key in {KEY_VARIABLE}"
        )
    if not _KEY.fullmatch(key):
        raise click.ClickException(f"{KEY_VARIABLE} holds no API key: they look like trk_0123456789abcdef_...")
    return Reached(url, key, here=False)


@asynccontextmanager
async def _own_key(settings: Settings, account: bytes, scope: str) -> AsyncIterator[str]:
    async with opened(settings) as database:
        keys = ApiKeys(database)
        if await Accounts(database).find(account) is None:
            raise no_account(account)
        new = await keys.create(account, "tracker, for one command", [scope])
        try:
            yield new.written
        finally:
            await keys.revoke(new.key.id)


def _is_served(place: Place) -> bool:
    if not isinstance(place, Files):
        return False  # one more server of a shared database does no harm
    try:
        with FileLock(place.server_lock):
            return False
    except Locked:
        return True


def _address(settings: Settings) -> str:
    if settings.port == 0:
        raise click.ClickException("TRACKER_PORT is 0, so say with --url where the running server listens")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - none is listened on
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


@asynccontextmanager
async def _own_server() -> AsyncIterator[str]:
    environment = {**os.environ, "TRACKER_LOG_FORMAT": "text", "TRACKER_DRAIN_SECONDS": "2"}
    with tempfile.TemporaryDirectory(prefix="tracker-") as folder, listening(Settings(port=0)) as listener:
        async with serving(listener, Path(folder), environment) as server, connect(server.address) as client:
            await server.outliving(server.starting(until_ready(client)), asyncio.Event())
            yield server.address
