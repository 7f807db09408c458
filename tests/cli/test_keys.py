"""A new signing key, from the command line."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tracker.storage.installation import Files
from tracker.storage.keyfile import read_key_file
from tracker.storage.locks import FileLock

SECRETS = f"1:{'A' * 43},7:{'B' * 43}"


def test_rotation_adds_a_key_that_signs_soon(run: Run, folder: Path) -> None:
    """The contract's ten seconds, so that every process has read it before one signs with it."""
    run("account", "create", "Larkspur")
    assert run("rotate-keys", "--json").json == {"changed": True, "key": 2, "signs_after_seconds": 10}
    keys = read_key_file(folder / "tracker.db.keys")
    assert keys is not None
    assert (sorted(keys), keys[1].signs_from) == ([1, 2], 0)
    checked = run("check", "--json").json
    assert (checked["signing_keys"], checked["signing_key"]) == ([1, 2], 1)


def test_commands_work_with_several_keys(run: Run, folder: Path) -> None:
    """Whatever opens an installation reads them all, and a key that is gone again is missed."""
    run("account", "create", "Larkspur")
    only = (folder / "tracker.db.keys").read_bytes()
    ran = run("rotate-keys")
    assert "Added signing key 2 to tracker.db.keys. It signs new links in 10 seconds" in ran.out
    assert run("rotate-keys", "--json").json["key"] == 3
    for command in (("account", "create", "Rook"), ("key", "list"), ("migrate",), ("check",)):
        assert run(*command).status == 0
    assert run("check", "--json").json["signing_keys"] == [1, 2, 3]
    (folder / "tracker.db.keys").write_bytes(only)
    run("check").failed_with("signing key 2 is missing")


def test_signing_key_is_the_operators_choice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays until the operator says otherwise; one that is not there stops everything."""
    run("account", "create", "Larkspur")
    monkeypatch.setenv("TRACKER_SIGNING_KEY", "1")
    assert run("rotate-keys", "--json").json == {"changed": True, "key": 2, "signs_after_seconds": None}
    assert "Links are signed with key 1, since TRACKER_SIGNING_KEY says so." in run("rotate-keys").out
    monkeypatch.setenv("TRACKER_SIGNING_KEY", "9")
    run("check").failed_with("key 9 is to sign", "1, 2, 3")
    monkeypatch.setenv("TRACKER_SIGNING_KEY", "nine")
    run("check").failed_with("TRACKER_SIGNING_KEY")


def test_keys_of_the_environment_are_left_to_the_operator(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes in order, the new key everywhere first; nothing is changed, and no old secret is shown."""
    monkeypatch.setenv("TRACKER_SECRET_KEYS", SECRETS)
    run("migrate")
    told = run("rotate-keys", "--json").json
    first, second = told["changes"]
    assert (told["changed"], told["key"]) == (False, 8)
    added = first["append"]["TRACKER_SECRET_KEYS"]
    assert re.fullmatch(r",8:[\w-]{43}", added)
    assert first["set"] == {"TRACKER_SIGNING_KEY": "7"}
    assert second == {"append": {}, "set": {"TRACKER_SIGNING_KEY": "8"}}
    text = run("rotate-keys").out
    assert text.index("TRACKER_SIGNING_KEY=7") < text.index("TRACKER_SIGNING_KEY=8")
    assert "A" * 43 not in text
    assert not (folder / "tracker.db.keys").exists()
    monkeypatch.setenv("TRACKER_SECRET_KEYS", SECRETS + added)
    for number in ("7", "8"):
        monkeypatch.setenv("TRACKER_SIGNING_KEY", number)
        assert run("check", "--json").json["signing_key"] == int(number)


def test_two_rotations_at_once_are_one(run: Run, folder: Path) -> None:
    """The second is told that somebody is at it."""
    run("account", "create", "Larkspur")
    with FileLock(Files(folder / "tracker.db").keys_lock):
        run("rotate-keys").failed_with("tracker.db.keys.lock", "locked by another process")
    assert sorted(read_key_file(folder / "tracker.db.keys") or {}) == [1]
