"""The files of one installation, and whether they belong together."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..domain.ids import new_id
from ..domain.keys import BadKeyring, Key, Keyring, due_key, new_secret
from . import migrations
from .accounts import Accounts
from .database import BadDatabase, Change, Database, Unavailable
from .fingerprints import Fingerprints
from .keyfile import make_key_file, read_key_file
from .sqlite import SQLite
from .statements import load_statements

_MIGRATIONS = load_statements("migrations")


class Files(NamedTuple):
    """Where an SQLite installation lies."""

    main: Path

    @property
    def name(self) -> str:
        """As operators know it."""
        return str(self.main)

    @property
    def parts(self) -> tuple[str, ...]:
        """What has to be there to serve."""
        return (str(self.main), str(self.inbox))

    @property
    def inbox(self) -> Path:
        """The journal and the suppressions: what a reader waits for."""
        return self.main.with_name(f"{self.main.name}.inbox")

    @property
    def keys(self) -> Path:
        """The signing keys, when the environment gives none."""
        return self.main.with_name(f"{self.main.name}.keys")

    @property
    def keys_lock(self) -> Path:
        """Held by the one process that adds a key."""
        return self.main.with_name(f"{self.main.name}.keys.lock")

    @property
    def server_lock(self) -> Path:
        """Held by the one serving process."""
        return self.main.with_name(f"{self.main.name}.serve.lock")

    @property
    def worker_lock(self) -> Path:
        """Held by the one worker."""
        return self.main.with_name(f"{self.main.name}.worker.lock")

    @property
    def data(self) -> Mapping[str, Path]:
        """Where the data lies, by what operators call it; of each database the file, and its log."""
        files = {"main": self.main, "inbox": self.inbox}
        return {**files, **{f"{name}_wal": path.with_name(f"{path.name}-wal") for name, path in files.items()}}

    @property
    def restoring(self) -> Path:
        """Where a restore keeps its files until they are in their places."""
        return self.main.with_name(f"{self.main.name}.restore")

    @property
    def restore_mark(self) -> Path:
        """There while files are being put in their places, when nobody may open any."""
        return self.restoring / "mark.json"

    def main_database(self) -> SQLite:
        """The main file; its readers see the tables of the inbox too."""
        return SQLite(self.main, attached=self.inbox, patience_ms=2_000)

    def inbox_database(self) -> SQLite:
        """The inbox."""
        return SQLite(self.inbox)


def files_of(database_url: str) -> Files:
    """The files of ``sqlite:///relative.db`` or ``sqlite:////absolute.db``. Raises ``BadDatabase``."""
    match = re.fullmatch(r"sqlite:///(.+)", database_url)
    if match is not None:
        return Files(Path(match[1]))
    if is_shared(database_url):
        raise BadDatabase(
            f"this command works on SQLite files, and TRACKER_DATABASE_URL is {without_password(database_url)!r}: "
            "use PostgreSQL's own tools, such as pg_dump"
        )
    raise BadDatabase(
        f"TRACKER_DATABASE_URL is {without_password(database_url)!r}: "
        "write sqlite:///tracker.db for a file in this folder, sqlite:////var/lib/tracker.db for any other, "
        "or postgresql://user:password@host/database"
    )


def is_shared(database_url: str) -> bool:
    """Whether it is that of a server."""
    return re.match(r"postgres(?:ql)?://", database_url) is not None


def without_password(url: str) -> str:
    """A URL as a screen or a log may hold it."""
    return re.sub(r"//[^/@]*@", "//...@", url).partition("?")[0]


class Prepared(NamedTuple):
    """An installation that is ready to be opened."""

    applied: list[str]
    keyring: Keyring
    new: bool


async def prepare(files: Files, secrets: Mapping[int, bytes] | None, signing: int | None = None) -> Prepared:
    """Bring both files to this release, make what a new installation lacks, and check that all belongs together.

    ``secrets`` are the keys of the environment; without them the key file counts. ``signing`` is the number of the
    key that an operator wants to sign. Raises ``BadDatabase`` or
    ``BadKeyring`` for what no waiting repairs.
    """
    _refuse_half_restored(files)
    new = not files.main.exists()
    try:
        async with SQLite(files.main, readers=1, patience_ms=10_000) as main:
            applied = await _migrated(main, "main", files.main)
            if await _id_of(main, "copying") is not None:
                raise BadDatabase(half_copied(files.name))
            inhabited = await Accounts(main).any()
            if inhabited and not files.inbox.exists():
                raise BadDatabase(strange_inbox(files, "is missing"))
            async with SQLite(files.inbox, readers=1, patience_ms=10_000) as inbox:
                await _join(main, inbox, files)
                applied += await _migrated(inbox, "inbox", files.inbox)
            keyring = await _keyring(main, files, secrets, signing, inhabited)
    except OSError as error:
        raise BadDatabase(f"cannot prepare the database {files.main} and {files.inbox}: {error}") from error
    return Prepared(applied, keyring, new)


async def refuse_unready(files: Files) -> None:
    """For what only looks at an installation or changes a part of it: neither makes one nor brings it to this release.

    Raises ``BadDatabase`` where there is none, or one of another release.
    """
    refuse_unusable(files)
    async with SQLite(files.main, readers=1, patience_ms=10_000) as main:
        try:
            found = await migrations.version(main, "main")
        except Unavailable as error:
            raise BadDatabase(f"{files.main} is no database of Tracker: {error}") from None
    known = len(migrations.migrations("main"))
    if found < known:
        raise BadDatabase(
            f"the schema of {files.main} is version {found}, this release brings {known}: run tracker migrate first"
        )


def refuse_unusable(files: Files) -> None:
    """Raises ``BadDatabase`` where there is no installation, or one that is half restored."""
    _refuse_half_restored(files)
    if not files.main.exists():
        raise BadDatabase(
            f"there is no database {files.main} yet: TRACKER_DATABASE_URL names it, and "
            "tracker serve or tracker account create makes it"
        )


def _refuse_half_restored(files: Files) -> None:
    if files.restore_mark.exists():
        raise BadDatabase(
            f"a restore of {files.main} was interrupted: finish it by running the same tracker restore again"
        )


async def _migrated(database: Database, part: str, path: Path) -> list[str]:
    try:
        return await migrations.migrate(database, part)
    except migrations.NewerSchema as error:
        raise migrations.NewerSchema(f"cannot use {path}: {error}") from None


async def _join(main: Database, inbox: Database, files: Files) -> None:
    """Both files carry the installation's id; a file that carries another is not this installation's."""
    await inbox.change(_MIGRATIONS["create_installations"])
    theirs = await _id_of(inbox, "inbox")
    ours = await _id_of(main, "main")
    if ours is None and theirs is None:
        ours = await _claim(main, "main", new_id())
    if theirs is None and ours is not None and not await Accounts(main).any():
        await _claim(inbox, "inbox", ours)
    if ours is None or await _id_of(inbox, "inbox") != ours:
        raise BadDatabase(strange_inbox(files, "belongs to another installation"))


def half_copied(name: str) -> str:
    """What to say of a database that a copy was begun to."""
    return f"a copy to {name} was interrupted: finish it by running the same tracker copy again"


def strange_inbox(files: Files, what: str) -> str:
    """What to say of an inbox that is not the one of this installation."""
    return (
        f"{files.inbox} {what}, and {files.main} cannot be served without its own: it holds opt-outs. "
        "Put back the two files that belong together"
    )


async def _claim(database: Database, part: str, identifier: bytes) -> bytes | None:
    """The id of a file: this one, unless another process that does the same was first."""
    await database.write(Change(_MIGRATIONS["insert_installation"], [{"part": part, "id": identifier}]))
    return await _id_of(database, part)


async def _id_of(database: Database, part: str) -> bytes | None:
    rows = await database.fetch(_MIGRATIONS["installation"], part=part)
    return rows[0]["id"] if rows else None


async def _keyring(
    main: Database, files: Files, secrets: Mapping[int, bytes] | None, signing: int | None, inhabited: bool
) -> Keyring:
    found: Mapping[int, Key] | None = (
        read_key_file(files.keys) if secrets is None else {number: Key(secret) for number, secret in secrets.items()}
    )
    if found is None:
        if inhabited:
            raise BadKeyring(
                f"the signing keys in {files.keys} are missing, and the links in mails already sent need them: "
                "put the file back, or set TRACKER_SECRET_KEYS"
            )
        found = _first_key(files.keys)
    try:
        keyring = ring_of(found, signing)
    except BadKeyring as error:
        raise BadKeyring(f"{'TRACKER_SECRET_KEYS' if secrets is not None else files.keys}: {error}") from None
    await Fingerprints(main).check(keyring)
    return keyring


def ring_of(keys: Mapping[int, Key], signing: int | None) -> Keyring:
    """The ring of these keys as it stands now; ``signing`` is the key that an operator wants to sign."""
    if signing is None and keys:
        signing = due_key(keys, time.time_ns() // 1_000_000)
    return Keyring({number: key.secret for number, key in keys.items()}, signing)


def _first_key(path: Path) -> Mapping[int, Key]:
    made = {1: Key(new_secret())}
    try:
        make_key_file(path, made)
    except FileExistsError:  # another process that does the same was first
        return read_key_file(path) or {}
    return made
