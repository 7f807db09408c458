"""Opens an installation for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..domain.keys import BadKeyring
from ..settings import Settings
from ..storage.accounts import Accounts
from ..storage.installation import Files, Prepared, files_of, prepare
from ..storage.keyfile import parse_keys


async def prepared(settings: Settings) -> tuple[Files, Prepared]:
    """Bring the installation to this release, making database and keys where there are none."""
    files = files_of(settings.database_url)
    secrets = _secrets(settings.secret_keys) if settings.secret_keys is not None else None
    return files, await prepare(files, secrets)


def _secrets(written: str) -> dict[int, bytes]:
    try:
        return parse_keys(written)
    except BadKeyring as error:
        raise BadKeyring(f"TRACKER_SECRET_KEYS: {error}") from None


@asynccontextmanager
async def opened_accounts(settings: Settings) -> AsyncIterator[Accounts]:
    """The accounts of an installation, also beside a running server."""
    files, _ = await prepared(settings)
    async with files.main_database() as database:
        yield Accounts(database)
