"""Opens an installation for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..domain.keys import BadKeyring, Key
from ..settings import Settings
from ..storage.accounts import Accounts
from ..storage.installation import Files, Prepared, files_of, prepare
from ..storage.keyfile import parse_keys


async def prepared(settings: Settings) -> tuple[Files, Prepared]:
    """Bring the installation to this release, making database and keys where there are none."""
    files = files_of(settings.database_url)
    keys = keys_of(settings.secret_keys) if settings.secret_keys is not None else None
    secrets = {number: key.secret for number, key in keys.items()} if keys is not None else None
    return files, await prepare(files, secrets, settings.signing_key)


def keys_of(secret_keys: str) -> dict[int, Key]:
    """The keys that the setting gives. Raises ``BadKeyring``, which names it."""
    try:
        return parse_keys(secret_keys)
    except BadKeyring as error:
        raise BadKeyring(f"TRACKER_SECRET_KEYS: {error}") from None


@asynccontextmanager
async def opened_accounts(settings: Settings) -> AsyncIterator[Accounts]:
    """The accounts of an installation, also beside a running server."""
    files, _ = await prepared(settings)
    async with files.main_database() as database:
        yield Accounts(database)
