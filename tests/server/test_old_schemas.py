"""An installation of an earlier release is brought to this one; the process is killed at every statement of that."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.harness import PROJECT, environment
from tests.server.stored import rows_of
from tests.server.test_start import expect_a_sentence, serve
from tests.storage.twins import OURS, fill, owner, tables
from tracker.storage import migrations
from tracker.storage.installation import Files, prepare

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_PARTS = {"main": "tracker.db", "inbox": "tracker.db.inbox"}
_FILES = (*_PARTS.values(),)
_NEWEST = max(len(migrations.migrations(part)) for part in _PARTS)
_THEIRS = b"account2"

Columns = dict[tuple[str, str], list[str]]
"""By file and table."""
Rows = dict[tuple[str, str], list[str]]


@pytest.fixture(params=[1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, _NEWEST - 1)), _NEWEST - 1])
async def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation as it was when there were so many migrations of each file, with rows in every table."""
    known, folder = migrations.migrations, tmp_path / "old"
    folder.mkdir()
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "migrations", lambda part: known(part)[: request.param])
        await prepare(Files(folder / "tracker.db"), None)
    for name in _FILES:
        with closing(opened(folder / name)) as database:
            fill(database, OURS, _THEIRS)
            database.commit()
    return folder


def opened(file: Path) -> sqlite3.Connection:
    """One file alone, as if it were both."""
    database = sqlite3.connect(file)
    database.execute("attach database ':memory:' as inbox")
    return database


def columns(folder: Path) -> Columns:
    """The columns of the tables that hold rows of accounts."""
    found = {}
    for name in _FILES:
        with closing(opened(folder / name)) as database:
            for table in tables(database):
                rows = database.execute("select name from pragma_table_info(?)", (table,))
                found[name, table] = [column for (column,) in rows]
    return found


def rows(folder: Path, wanted: Columns) -> Rows:
    """What stands in these columns of both accounts, each row as text."""
    found = {}
    for (name, table), names in wanted.items():
        select = f"select {', '.join(names)} from {table} where {owner(table)} in (?, ?)"
        found[name, table] = sorted(map(repr, rows_of(folder / name, select, OURS, _THEIRS)))
    return found


def everything(folder: Path) -> list[str]:
    """Both files as SQL, but for the times at which migrations were applied; and whether they are whole."""
    found = []
    for name in _FILES:
        with closing(sqlite3.connect(folder / name)) as database:
            database.execute("update schema_versions set applied_at = 0")
            found += [str(database.execute("pragma integrity_check").fetchall()), *database.iterdump()]
    return found


def killed(old: Path, copies: Path, *how: str) -> list[Path]:
    """Copies of an installation, each killed at another statement."""
    command = (sys.executable, str(PROJECT / "tests" / "server" / "interrupted.py"), str(old), str(copies), *how)
    copies.mkdir()
    subprocess.run(command, env=environment({}), check=True)
    return sorted(copies.iterdir())


async def brought_up(folder: Path) -> Path:
    """The same folder, as the next start leaves it."""
    await prepare(Files(folder / "tracker.db"), None)
    return folder


async def test_an_old_installation_keeps_its_rows(old: Path, tmp_path: Path) -> None:
    """F13: whatever a release adds, each row of both accounts is still there, as it was."""
    wanted = columns(old)
    before = rows(old, wanted)
    assert all(before.values()), "every table must hold rows"
    new = await brought_up(Path(shutil.copytree(old, tmp_path / "new")))
    assert rows(new, wanted) == before


async def test_a_start_that_is_killed_is_made_up_for(old: Path, tmp_path: Path) -> None:
    """F13: after ``kill -9`` at any statement the next start leaves what an undisturbed one leaves."""
    expected = everything(await brought_up(Path(shutil.copytree(old, tmp_path / "new"))))
    places = killed(old, tmp_path / "killed")
    print(f"{len(places)} kills")
    assert len(places) > 10
    for place in places:
        assert everything(await brought_up(place)) == expected, place.name


@pytest.mark.parametrize("old", [_NEWEST - 1], indirect=True)
async def test_migrations_bit_by_bit_are_caught(old: Path, tmp_path: Path) -> None:
    """F13's control: a migration that is no transaction is left half done by a kill, and the next start fails or
    takes it for whole."""
    expected = everything(await brought_up(Path(shutil.copytree(old, tmp_path / "new"))))
    found = [everything(await brought_up(place)) for place in killed(old, tmp_path / "killed", "piecemeal")]
    assert [one for one in found if one != expected]


async def test_the_first_start_can_be_killed(tmp_path: Path) -> None:
    """F13: at any statement, before there is anything: the next start makes the installation."""
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    new = await brought_up(Path(shutil.copytree(nothing, tmp_path / "new")))
    expected = columns(new)
    places = killed(nothing, tmp_path / "killed")
    print(f"{len(places)} kills")
    assert len(places) > 60
    for place in places:
        assert columns(await brought_up(place)) == expected, place.name
        assert everything(place).count("[('ok',)]") == len(_FILES)


@pytest.mark.parametrize("part", [*_PARTS])
async def test_a_newer_schema_is_refused_with_a_sentence(tmp_path: Path, part: str) -> None:
    """F13: the release before does not touch what this one wrote."""
    await prepare(Files(tmp_path / "tracker.db"), None)
    newer = len(migrations.migrations(part)) + 1
    with closing(opened(tmp_path / _PARTS[part])) as database:
        database.execute("insert into schema_versions values (?, ?, 'later', 0)", (part, newer))
        database.commit()
    expect_a_sentence(serve(tmp_path), f"version {newer}", "install the release that wrote it")
