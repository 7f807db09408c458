"""Brings a database to this release: numbered scripts, each applied once and whole, whoever else tries at the time."""

import time
from importlib import resources
from typing import NamedTuple

from .database import BadDatabase, Change, Database, Refused
from .statements import load_statements

_SQL = load_statements("migrations")


class NewerSchema(BadDatabase):
    """The database was written by a later release than this one."""


class Migration(NamedTuple):
    """One numbered script."""

    version: int
    name: str
    statements: tuple[str, ...]


def migrations(part: str) -> list[Migration]:
    """The scripts of one part, ``main``, ``inbox`` or ``postgresql``, in their order."""
    scripts = (resources.files(__package__) / "migrations" / part).iterdir()
    return sorted(_read(script.name, script.read_text("utf-8")) for script in scripts)


async def migrate(database: Database, part: str) -> list[str]:
    """Apply what is missing, and give the names of what was applied.

    Raises :class:`NewerSchema` with nothing changed when the database knows more than this release.
    """
    await database.change(_SQL["create_versions"])
    await database.change(_SQL["create_installations"])
    current = await version(database, part)
    refuse_newer(part, current)
    missing = migrations(part)[current:]
    return [f"{part}/{migration.name}" for migration in missing if await _apply(database, part, migration)]


def refuse_newer(part: str, current: int) -> None:
    """Raises :class:`NewerSchema` when a part of this version knows more than this release."""
    known = len(migrations(part))
    if current > known:
        raise NewerSchema(
            f"the schema of the {part} database is version {current}, this release knows {known}: "
            "install the release that wrote it, or a later one"
        )


async def version(database: Database, part: str) -> int:
    """The number of the last script applied to this part; 0 for a new database."""
    rows = await database.fetch(_SQL["current_version"], part=part)
    return int(rows[0]["version"])


async def _apply(database: Database, part: str, migration: Migration) -> bool:
    # Its row goes in first: of two that migrate at once, the second finds it there and leaves off.
    row = {
        "part": part,
        "version": migration.version,
        "name": migration.name,
        "applied_at": time.time_ns() // 1_000_000,
    }
    statements = [Change(statement) for statement in migration.statements]
    try:
        await database.write(Change(_SQL["insert_version"], [row]), *statements)
    except Refused:
        if await version(database, part) < migration.version:
            raise
        return False
    return True


def _read(file_name: str, text: str) -> Migration:
    name = file_name.removesuffix(".sql")
    statements = tuple(part.strip() for part in text.split(";\n") if part.strip())
    return Migration(int(name.partition("_")[0]), name, statements)
