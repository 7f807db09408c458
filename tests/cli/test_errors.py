"""What can be expected to go wrong is one sentence that names the file or the setting, and status 1."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run

GARBAGE = b"This is not a database. " * 400
COMMANDS = (("account", "create", "Rook"), ("migrate",), ("migrate",), ("key", "list"), ("serve", "--port", "0"))

every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])


def change(path: Path, sql: str) -> None:
    """What somebody else did to a database."""
    with sqlite3.connect(path) as connection:
        connection.execute(sql)
    connection.close()


def garbage(path: Path) -> None:
    path.write_bytes(GARBAGE)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def gone(path: Path) -> None:
    path.unlink()


def newer(path: Path) -> None:
    part = "inbox" if path.suffix == ".inbox" else "main"
    change(path, f"insert into schema_versions values ('{part}', 900, 'of the future', 0)")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_text(path.read_text()[:20])


SPOILT: dict[str, tuple[str, Callable[[Path], None], tuple[str, ...]]] = {
    "main is no database": ("tracker.db", garbage, ("tracker.db", "not a database")),
    "main is a directory": ("tracker.db", directory, ("tracker.db",)),
    "main is newer": ("tracker.db", newer, ("tracker.db", "version 900", "install")),
    "inbox is no database": ("tracker.db.inbox", garbage, ("tracker.db.inbox", "not a database")),
    "inbox is a directory": ("tracker.db.inbox", directory, ("tracker.db.inbox",)),
    "inbox is newer": ("tracker.db.inbox", newer, ("tracker.db.inbox", "version 900", "install")),
    "inbox is gone": ("tracker.db.inbox", gone, ("tracker.db.inbox is missing", "tracker.db ", "Put back")),
    "inbox is empty": ("tracker.db.inbox", empty, ("tracker.db.inbox", "tracker.db ", "Put back")),
    "keys are gone": ("tracker.db.keys", gone, ("tracker.db.keys", "TRACKER_SECRET_KEYS")),
    "keys are none": ("tracker.db.keys", garbage, ("tracker.db.keys",)),
    "keys are empty": ("tracker.db.keys", empty, ("tracker.db.keys",)),
    "a key is cut": ("tracker.db.keys", half, ("tracker.db.keys",)),
    "keys are a directory": ("tracker.db.keys", directory, ("tracker.db.keys",)),
}


@pytest.mark.parametrize(("name", "spoil", "words"), SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("command", [("account", "create", "Rook"), ("serve", "--port", "0")], ids=lambda one: one[0])
def test_spoilt_file_is_named(
    run: Run, folder: Path, command: tuple[str, ...], name: str, spoil: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    """Nothing is replaced, and the sentence says what to do."""
    assert run("account", "create", "Larkspur").status == 0
    spoil(folder / name)
    run(*command).failed_with(*words)


@every_command
def test_inbox_of_another_installation_is_named(run: Run, folder: Path, command: tuple[str, ...]) -> None:
    """Its opt-outs are other people's: both files are named."""
    run("account", "create", "Larkspur")
    for path in list(folder.iterdir()):
        path.rename(folder.parent / path.name)
    run("account", "create", "Rook")
    shutil.copy(folder.parent / "tracker.db.inbox", folder / "tracker.db.inbox")
    run(*command).failed_with("tracker.db.inbox belongs to another installation", "tracker.db ")


def test_another_key_is_refused_by_its_number(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links in mails already sent need the old one; its secret is never shown."""
    run("account", "create", "Larkspur")
    monkeypatch.setenv("TRACKER_SECRET_KEYS", f"1:{'A' * 43}")
    ran = run("migrate")
    ran.failed_with("signing key 1")
    assert "A" * 43 not in ran.err
    monkeypatch.setenv("TRACKER_SECRET_KEYS", f"2:{'A' * 43}")
    run("migrate").failed_with("signing key 1 is missing")


BAD_SETTINGS = {
    ("TRACKER_BASE_URL", "t.example.com"),
    ("TRACKER_BASE_URL", "http://[::1"),
    ("TRACKER_PORT", "eight"),
    ("TRACKER_PORT", "65536"),
    ("TRACKER_TRUSTED_PROXIES", "*"),
    ("TRACKER_WORKER", "thread"),
    ("TRACKER_LOG_LEVEL", "loud"),
    ("TRACKER_DATABASE_URL", "tracker.db"),
    ("TRACKER_DATABASE_URL", "sqlite://tracker.db"),
    ("TRACKER_DATABASE_URL", "mysql://root:secret@db/tracker"),
    ("TRACKER_SECRET_KEYS", ""),
    ("TRACKER_SECRET_KEYS", "1:secret"),
    ("TRACKER_SECRET_KEYS", "secret"),
    ("TRACKER_SECRET_KEYS", f"256:{'A' * 43}"),
    ("TRACKER_SECRET_KEYS", f"1:{'A' * 43},1:{'B' * 43}"),
    ("TRACKER_SECRET_KEYS", "1:secret!"),
}


@pytest.mark.parametrize(("name", "value"), sorted(BAD_SETTINGS))
@pytest.mark.parametrize("command", [("migrate",), ("account", "create", "Rook"), ("serve", "--json")], ids=" ".join)
def test_bad_setting_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], name: str, value: str
) -> None:
    """The variable stands in the sentence; what is secret in it does not."""
    monkeypatch.setenv(name, value)
    ran = run(*command)
    ran.failed_with(name)
    assert "secret" not in ran.err


def test_folder_that_is_not_there_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is made for a mistyped path."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", "sqlite:////nowhere/at/all/tracker.db")
    for command in COMMANDS:
        run(*command).failed_with("/nowhere/at/all/tracker.db")
