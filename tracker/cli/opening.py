"""Opens an installation for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..domain.keys import BadKeyring, Key
from ..settings import Settings
from ..storage.database import Database
from ..storage.installation import Prepared
from ..storage.keyfile import parse_keys, secrets_of
from ..storage.shared import Place, place_of, prepare_place, refuse_unready_place


async def prepared(settings: Settings) -> tuple[Place, Prepared]:
    """Bring the installation to this release, making database and keys where there are none."""
    place = place_of(settings.database_url)
    return place, await prepare_place(place, secrets_of(settings.secret_keys), settings.signing_key)


async def existing(settings: Settings) -> tuple[Place, Prepared]:
    """An installation as it is. Raises ``BadDatabase`` where there is none, or one of another release."""
    place = place_of(settings.database_url)
    if settings.secret_keys is not None:
        keys_of(settings.secret_keys)
    await refuse_unready_place(place)
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
    place, _ = await existing(settings)
    async with place.main_database() as database:
        yield database
