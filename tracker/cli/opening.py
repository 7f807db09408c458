"""Opens an installation for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..domain.keys import BadKeyring, Key
from ..settings import Settings
from ..storage.database import Database
from ..storage.installation import Files, Prepared, files_of, prepare, refuse_unready
from ..storage.keyfile import parse_keys


async def prepared(settings: Settings) -> tuple[Files, Prepared]:
    """Bring the installation to this release, making database and keys where there are none."""
    files = files_of(settings.database_url)
    keys = keys_of(settings.secret_keys) if settings.secret_keys is not None else None
    secrets = {number: key.secret for number, key in keys.items()} if keys is not None else None
    return files, await prepare(files, secrets, settings.signing_key)


async def existing(settings: Settings) -> tuple[Files, Prepared]:
    """An installation as it is. Raises ``BadDatabase`` where there is none, or one of another release."""
    files = files_of(settings.database_url)
    if settings.secret_keys is not None:
        keys_of(settings.secret_keys)
    await refuse_unready(files)
    return await prepared(settings)


def keys_of(secret_keys: str) -> dict[int, Key]:
    """The keys that the setting gives. Raises ``BadKeyring``, which names it."""
    try:
        return parse_keys(secret_keys)
    except BadKeyring as error:
        raise BadKeyring(f"TRACKER_SECRET_KEYS: {error}") from None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The main database of an installation that is there, also beside a running server."""
    files, _ = await existing(settings)
    async with files.main_database() as database:
        yield database
