"""An installation in a database that several servers share."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..domain.ids import new_id
from ..domain.keys import BadKeyring, Key, Keyring
from . import migrations
from .database import BadDatabase, Change
from .fingerprints import Fingerprints
from .installation import (
    Files,
    Prepared,
    files_of,
    half_copied,
    is_shared,
    prepare,
    refuse_unready,
    ring_of,
    without_password,
)
from .shared_journal import SharedJournal
from .statements import load_statements

if TYPE_CHECKING:
    from .postgresql import PostgreSQL

log = logging.getLogger(__name__)

_MIGRATIONS = load_statements("migrations")
_OWN = load_statements("postgresql", "overlay")

PARTS = ("main", "inbox", "postgresql")
"""In the order in which they are brought to this release."""

PROJECTOR = 7_305_500_001
MIGRATIONS = 7_305_500_002
"""Numbers of advisory locks: whoever else uses the same database takes others."""

_OLDEST_VERSION = 130_000
_MIGRATION_PATIENCE_MS = 3_600_000

_KEYS_NEEDED = (
    "with PostgreSQL the signing keys lie in no file, since every server needs them: set TRACKER_SECRET_KEYS to the "
    "same on each, 1:<base64url of 32 random bytes>, such as 1:$(openssl rand -base64 32 | tr '+/' '-_')"
)


class SharedDatabase:
    """Where it lies, and whether it was seen to be of this release."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.usable = False

    @property
    def name(self) -> str:
        """As operators know it, without the password."""
        return without_password(self.url)

    @property
    def parts(self) -> tuple[str, ...]:
        """What has to be there to serve."""
        return (self.name,)

    @property
    def data(self) -> Mapping[str, Path]:
        """No file of it is ours."""
        return {}

    def main_database(self, *, checked: bool = True) -> "PostgreSQL":
        """Accounts, messages and events; and all the rest, for it is one database."""
        return self._opened(readers=4, patience_ms=10_000, checked=checked)

    def inbox_database(self) -> "PostgreSQL":
        """The same, with connections of its own: nothing a customer asks for keeps a reader waiting."""
        return self._opened(readers=2, patience_ms=5_000, checked=True)

    @asynccontextmanager
    async def alone(self, number: int) -> AsyncIterator[asyncio.Event]:
        """Wait until nobody else of this database is in here; what is given is set when that is no longer so."""
        async with self.main_database(checked=False) as database, database.alone(number) as lost:
            yield lost

    async def prepare(self, secrets: Mapping[int, bytes] | None, signing: int | None = None) -> Prepared:
        """Bring the database to this release, whoever else does so at the time.

        Raises ``Unavailable`` while it cannot be reached; ``BadDatabase``, ``BadKeyring``: no waiting repairs that.
        """
        keyring = shared_keyring(secrets, signing)
        database = self._opened(readers=1, patience_ms=_MIGRATION_PATIENCE_MS, checked=False)
        async with database:
            await self._refuse_unfit(database)
            async with database.alone(MIGRATIONS):
                applied = [name for part in PARTS for name in await migrations.migrate(database, part)]
                if await database.fetch(_MIGRATIONS["installation"], part="copying"):
                    raise BadDatabase(half_copied(self.name))
                claim = {"part": "main", "id": new_id()}
                await database.write(Change(_MIGRATIONS["insert_installation"], [claim]))
            await Fingerprints(database).check(keyring)
            await SharedJournal(database).forget_writers()
        self.usable = True
        return Prepared(applied, keyring, new=len(applied) == sum(len(migrations.migrations(part)) for part in PARTS))

    async def refuse_unready(self) -> None:
        """Raises ``BadDatabase`` where there is no installation, or one of another release."""
        async with self.main_database(checked=False) as database:
            await self._refuse_unfit(database)
            if not await self.inhabited(database):
                raise BadDatabase(
                    f"{self.name} holds no installation: tracker serve or tracker account create makes it"
                )
            for part in PARTS:
                found, known = await migrations.version(database, part), len(migrations.migrations(part))
                if found < known:
                    raise BadDatabase(
                        f"the schema of {self.name} is version {found} ({part}), this release brings {known}: "
                        "run tracker migrate first"
                    )

    async def inhabited(self, database: "PostgreSQL") -> bool:
        """Whether an installation was ever made there."""
        return bool(await database.fetch(_OWN["any_versions"]))

    async def _refuse_unfit(self, database: "PostgreSQL") -> None:
        nature = await database.nature()
        if nature["encoding"] != "UTF8":
            raise BadDatabase(
                f"{self.name} is encoded in {nature['encoding']}: make one with create database ... encoding 'UTF8' "
                "template template0"
            )
        if nature["fsync"] == "off":
            log.warning("fsync is off in %s: what is acknowledged can be lost when its machine fails", self.name)
        if nature["version"] < _OLDEST_VERSION:
            raise BadDatabase(
                f"{self.name} is served by PostgreSQL {nature['version'] // 10_000}: 13 or later is needed"
            )

    def _opened(self, *, readers: int, patience_ms: int, checked: bool) -> "PostgreSQL":
        try:
            from .postgresql import PostgreSQL
        except ModuleNotFoundError as error:
            raise BadDatabase(
                f"PostgreSQL needs a package that is not installed, {error.name}: pip install 'tracker[postgres]'"
            ) from None
        usable = (lambda: self.usable) if checked else (lambda: True)
        return PostgreSQL(self.url, readers=readers, patience_ms=patience_ms, usable=usable)


def shared_keyring(secrets: Mapping[int, bytes] | None, signing: int | None) -> Keyring:
    """The ring of the environment's keys. Raises ``BadKeyring``."""
    if secrets is None:
        raise BadKeyring(_KEYS_NEEDED)
    try:
        return ring_of({number: Key(secret) for number, secret in secrets.items()}, signing)
    except BadKeyring as error:
        raise BadKeyring(f"TRACKER_SECRET_KEYS: {error}") from None


Place = Files | SharedDatabase
"""Where an installation lies."""


def place_of(database_url: str) -> Place:
    """Two files, or a database of a server. Raises ``BadDatabase`` for what is neither."""
    return SharedDatabase(database_url) if is_shared(database_url) else files_of(database_url)


async def prepare_place(place: Place, secrets: Mapping[int, bytes] | None, signing: int | None = None) -> Prepared:
    """As :func:`prepare`, wherever it lies; raises ``Unavailable`` while a server cannot be reached."""
    if isinstance(place, SharedDatabase):
        return await place.prepare(secrets, signing)
    return await prepare(place, secrets, signing)


async def refuse_unready_place(place: Place) -> None:
    """As :func:`refuse_unready`, wherever it lies."""
    if isinstance(place, SharedDatabase):
        await place.refuse_unready()
    else:
        await refuse_unready(place)
