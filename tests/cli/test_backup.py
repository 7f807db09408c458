"""A backup and a restore as an operator runs them: what they make, what they say, and what they refuse."""

import json
import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.packed import content_of
from tests.storage.faults import files_can_grow_no_more
from tracker import __version__
from tracker.cli.progress import Progress
from tracker.storage import migrations
from tracker.storage.installation import Files

HERE = Files(Path("tracker.db"))
FILES = {"tracker.db", "tracker.db.inbox", "tracker.db.keys"}
OTHER_KEY = f"1:{'A' * 43}"


def test_a_backup_is_one_file_with_a_list_of_what_is_in_it(run: Run, folder: Path) -> None:
    """For its owner's eyes only, and without the keys; the shape of --json."""
    run("account", "create", "Larkspur")
    made = run("backup", "backup.tar", "--json").json
    file, content = folder / "backup.tar", content_of(folder / "backup.tar")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in folder.iterdir()} - FILES == {"backup.tar"}
    assert (made["path"], made["bytes"]) == ("backup.tar", file.stat().st_size)
    assert list(content) == ["tracker.db.inbox", "tracker.db", "manifest.json"]
    manifest = json.loads(content["manifest.json"])
    assert made == {
        "path": "backup.tar",
        "bytes": file.stat().st_size,
        "created_at": manifest["created_at"],
        "members": [
            {"name": name, "bytes": len(content[name]), "sha256": sha256(content[name]).hexdigest()}
            for name in ("tracker.db.inbox", "tracker.db")
        ],
    }
    assert manifest["members"] == made["members"]
    assert (manifest["format"], manifest["release"], manifest["signing_keys"]) == (1, __version__, [1])
    assert manifest["schema"] == {part: len(migrations.migrations(part)) for part in ("main", "inbox")}


def test_a_backup_is_told_to_people(run: Run, folder: Path) -> None:
    """What was written, what is not in it, and a line for each step on the other stream."""
    run("account", "create", "Larkspur")
    ran = run("backup", "backup.tar")
    assert ran.status == 0
    assert ran.out.startswith("Wrote backup.tar (")
    assert "Not in it: the signing key 1. Keep a copy of tracker.db.keys in another place" in ran.out
    assert [line.partition(" (")[0] for line in ran.err.splitlines()] == [
        "Copying tracker.db.inbox",
        "Packing tracker.db.inbox",
        "Copying tracker.db",
        "Packing tracker.db",
    ]


def test_a_backup_with_keys_needs_nothing_else(run: Run, folder: Path, elsewhere: Callable[[], Path]) -> None:
    """They come from the file beside the database, and go there."""
    run("account", "create", "Larkspur")
    ran = run("backup", "backup.tar", "--with-keys")
    assert "The signing keys are in it" in ran.out
    there = elsewhere()
    assert run("restore", str(folder / "backup.tar"), "--json").json["keys"] == "in place"
    assert (there / "tracker.db.keys").read_bytes() == (folder / "tracker.db.keys").read_bytes()
    assert stat.S_IMODE((there / "tracker.db.keys").stat().st_mode) == 0o600
    assert run("check").status == 0


def test_keys_that_are_in_no_file_are_not_packed(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the environment are their owner's; a file that is gone is named."""
    run("account", "create", "Larkspur")
    (folder / "tracker.db.keys").unlink()
    run("backup", "backup.tar", "--with-keys", "--json").failed_with("no key file tracker.db.keys", "--with-keys")
    monkeypatch.setenv("TRACKER_SECRET_KEYS", OTHER_KEY)
    run("backup", "backup.tar", "--with-keys").failed_with("TRACKER_SECRET_KEYS", "--with-keys")
    assert {path.name for path in folder.iterdir()} == FILES - {"tracker.db.keys"}
    assert "Keep a copy of TRACKER_SECRET_KEYS" in run("backup", "backup.tar").out


def test_a_backup_that_is_there_is_replaced_by_force_alone(run: Run, backup: Path) -> None:
    """Whatever it is; and never a folder."""
    backup.write_text("something")
    run("backup", "backup.tar").failed_with("backup.tar", "there already", "--force")
    assert backup.read_text() == "something"
    assert run("backup", "backup.tar", "--force").status == 0
    assert "manifest.json" in content_of(backup)
    run("backup", str(backup.parent), "--force").failed_with("it is a folder")


def test_a_backup_without_a_place_or_an_installation_is_an_error(run: Run, folder: Path) -> None:
    """Nothing is made on the way."""
    run("backup", "backup.tar").failed_with("there is no database tracker.db")
    assert list(folder.iterdir()) == []
    run("account", "create", "Larkspur")
    run("backup", "nowhere/backup.tar").failed_with("nowhere/backup.tar", "No such file")
    (folder / "tracker.db.inbox").unlink()
    run("backup", "backup.tar").failed_with("tracker.db.inbox is missing")
    assert {path.name for path in folder.iterdir()} == FILES - {"tracker.db.inbox"}


def test_a_backup_that_cannot_be_written_leaves_nothing(run: Run, folder: Path) -> None:
    """A disk that fails on the way."""
    run("account", "create", "Larkspur")
    with closing(sqlite3.connect("tracker.db")) as main, closing(sqlite3.connect("tracker.db.inbox")) as inbox:
        for connection in (main, inbox):  # whose logs are there then, and do not grow
            connection.execute("select * from schema_versions").fetchone()
        with files_can_grow_no_more():
            run("backup", "backup.tar", "--json").failed_with("cannot write the backup backup.tar")
    assert {path.name for path in folder.iterdir()} == FILES


def test_a_backup_of_a_newer_schema_is_refused(run: Run, folder: Path) -> None:
    """This release does not know what belongs together in it."""
    run("account", "create", "Larkspur")
    with closing(sqlite3.connect("tracker.db")) as database:
        database.execute("insert into schema_versions values ('main', 900, 'of the future', 0)")
        database.commit()
    run("backup", "backup.tar").failed_with("version 900", "install the release that wrote it")
    assert not (folder / "backup.tar").exists()


def test_a_backup_of_an_older_schema_is_brought_to_this_release_by_the_next_start(
    run: Run, folder: Path, elsewhere: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what one wants before an upgrade, and after one that failed."""
    every = migrations.migrations
    with monkeypatch.context() as past:
        past.setattr(migrations, "migrations", lambda part: every(part)[:1])
        run("account", "create", "Larkspur")
    assert run("backup", "backup.tar", "--with-keys").status == 0
    elsewhere()
    ran = run("restore", str(folder / "backup.tar"))
    assert f"It is of release {__version__}: the next start brings its schema to this one." in ran.out
    run("check").failed_with("run tracker migrate first")
    assert len(run("migrate", "--json").json["applied"]) == sum(len(every(part)) - 1 for part in ("main", "inbox"))


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One a step, which ends full; nothing at all where a program listens."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Progress(quiet=True) as silent:
            silent.tell("copying nothing", 1, 2)
        with Progress(quiet=False) as progress:
            for done in (1, 2, 3):
                progress.tell("copying tracker.db", done * 1_000_000, 3_000_000)
            progress.tell("packing tracker.db", 1, 2)
    shown = "".join(seen(master))
    assert "nothing" not in shown
    assert "Copying tracker.db" in shown
    assert "100%" in shown
    assert "Packing tracker.db" in shown


def seen(master: int) -> Iterator[str]:
    """What a terminal was shown that is closed now."""
    with os.fdopen(master, "rb", buffering=0) as screen, suppress(OSError):
        while shown := screen.read(4096):
            yield shown.decode()
