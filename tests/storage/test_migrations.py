"""Databases come to this release once, whole, and whoever else tries at the time."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from tests.storage.databases import Databases
from tracker.storage.database import Change, Refused, Unavailable
from tracker.storage.migrations import Migration, NewerSchema, _apply, migrate, migrations, version
from tracker.storage.sqlite import SQLite

pytestmark = pytest.mark.anyio

PARTS = ("main", "inbox")


@pytest.mark.parametrize("part", PARTS)
def test_scripts_are_numbered_without_holes(part: str) -> None:
    """From one on: the version of a schema is the number of its scripts."""
    found = migrations(part)
    assert [one.version for one in found] == list(range(1, len(found) + 1))
    assert all(re.fullmatch(rf"{one.version:04}_[a-z_]+", one.name) for one in found)


@pytest.mark.parametrize("part", PARTS)
def test_scripts_are_cut_into_whole_statements(part: str) -> None:
    """One statement each, as SQLite itself sees it, and nothing is lost between them."""
    with closing(sqlite3.connect(":memory:")) as whole, closing(sqlite3.connect(":memory:")) as cut:
        for migration in migrations(part):
            assert all(sqlite3.complete_statement(f"{statement};") for statement in migration.statements)
            script = resources.files("tracker.storage") / "migrations" / part / f"{migration.name}.sql"
            text = re.sub(r"--.*", "", script.read_text("utf-8"))
            assert len(migration.statements) == text.count(";")
            whole.executescript(text)
            for statement in migration.statements:
                cut.execute(statement)
            assert list(whole.iterdump()) == list(cut.iterdump())


async def test_new_database_gets_every_script_once(tmp_path: Path) -> None:
    """And a second time nothing is left to do."""
    async with SQLite(tmp_path / "db") as database:
        for part in PARTS:
            assert await migrate(database, part) == [f"{part}/{one.name}" for one in migrations(part)]
            assert await migrate(database, part) == []
            assert await version(database, part) == len(migrations(part))


async def test_script_is_applied_once_when_many_migrate_at_the_same_time(tmp_path: Path) -> None:
    """Whoever comes second finds it done."""
    async with SQLite(tmp_path / "db") as one, SQLite(tmp_path / "db") as two:
        applied = await asyncio.gather(*(migrate(database, "main") for database in (one, two, one, two)))
        assert sorted(name for names in applied for name in names) == [f"main/{m.name}" for m in migrations("main")]


@pytest.mark.parametrize("part", PARTS)
async def test_newer_schema_is_refused_unchanged(databases: Databases, part: str) -> None:
    """The operator reads which versions they are, and what to install."""
    database = databases.main if part == "main" else databases.inbox
    newest = len(migrations(part))
    row = {"part": part, "version": newest + 1, "name": "later", "applied_at": 0}
    insert = (
        "insert into schema_versions (part, version, name, applied_at) values (:part, :version, :name, :applied_at)"
    )
    await database.write(Change(insert, [row]))
    versions = "select part, version, name from schema_versions order by part, version"
    before = await database.fetch(versions)
    said = (
        f"the schema of the {part} database is version {newest + 1}, this release knows {newest}: install the release"
    )
    with pytest.raises(NewerSchema, match=said):
        await migrate(database, part)
    assert await database.fetch(versions) == before


def failing_scripts() -> Iterator[Migration]:
    """The first script, made to fail before each of its statements and at its end."""
    first = migrations("main")[0]
    for place in range(len(first.statements) + 1):
        statements = (*first.statements[:place], "insert into nowhere (id) values (1)", *first.statements[place:])
        yield Migration(1, first.name, statements)


async def test_script_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """At whichever statement: the next start begins anew."""
    path = tmp_path / "db"
    async with SQLite(path) as database:
        await database.change("create table schema_versions (part text, version bigint, name text, applied_at bigint)")
        for migration in failing_scripts():
            with pytest.raises((Unavailable, Refused)):
                await _apply(database, "main", migration)
            assert [row["name"] for row in await database.fetch("select name from sqlite_master")] == [
                "schema_versions"
            ]
            assert await version(database, "main") == 0


async def test_refusal_of_a_script_itself_is_not_taken_for_a_rival(tmp_path: Path) -> None:
    """A script that breaks a constraint is an error, not a sign that somebody else was faster."""
    async with SQLite(tmp_path / "db") as database:
        await migrate(database, "main")
        number = len(migrations("main")) + 1
        statement = "insert into directory (name, version) values ('accounts', 0)"
        twice = Migration(number, f"{number:04}_twice", (statement,))
        with pytest.raises(Refused):
            await _apply(database, "main", twice)
        assert await version(database, "main") == len(migrations("main"))
