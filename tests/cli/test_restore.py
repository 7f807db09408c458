"""A restore as an operator runs it: what it puts in place, and what it refuses."""

import json
import shutil
import sqlite3
import stat
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.packed import Change, content_of, in_manifest, repack
from tests.storage.faults import files_can_grow_no_more
from tracker import __version__
from tracker.storage.installation import Files
from tracker.storage.locks import FileLock

HERE = Files(Path("tracker.db"))
FILES = {"tracker.db", "tracker.db.inbox", "tracker.db.keys"}
OTHER_KEY = f"1:{'A' * 43}"


def test_what_a_backup_holds_is_served_elsewhere(run: Run, backup: Path, elsewhere: Callable[[], Path]) -> None:
    """Once its keys are there, which are named."""
    there = elsewhere()
    ran = run("restore", str(backup))
    assert ran.status == 0
    assert "Needed before the start, and not in this backup: the signing key 1." in ran.out
    run("check").failed_with("signing keys in tracker.db.keys are missing")
    shutil.copy(backup.parent / "tracker.db.keys", there)
    assert run("check").status == 0
    assert len(run("key", "list", "--json").json["data"]) == 1
    for name in ("tracker.db", "tracker.db.inbox"):
        assert stat.S_IMODE((there / name).stat().st_mode) == 0o600
    assert {path.name for path in there.iterdir() if not path.name.endswith(".lock")} == FILES


def test_a_restore_is_told_to_programs(run: Run, backup: Path, elsewhere: Callable[[], Path]) -> None:
    """The shape of --json, into an empty place and over an installation."""
    there = elsewhere()
    expected = {
        "database": "tracker.db",
        "created_at": json.loads(content_of(backup)["manifest.json"])["created_at"],
        "release": __version__,
        "outdated": False,
        "signing_keys": [1],
        "keys": "needed",
        "replaced": None,
    }
    assert run("restore", str(backup), "--json").json == expected
    shutil.copy(backup.parent / "tracker.db.keys", there)
    again = run("restore", str(backup), "--force", "--json").json
    assert again == {**expected, "keys": "in place", "replaced": again["replaced"]}
    assert {path.name for path in Path(again["replaced"]).iterdir()} == FILES - {"tracker.db.keys"}


def test_another_name_of_the_database_does_not_matter(
    run: Run, backup: Path, elsewhere: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names in a backup are always the same."""
    there = elsewhere()
    monkeypatch.setenv("TRACKER_DATABASE_URL", f"sqlite:///{there}/other.db")
    run("restore", str(backup))
    shutil.copy(backup.parent / "tracker.db.keys", there / "other.db.keys")
    assert run("backup", "again.tar").status == 0
    assert list(content_of(there / "again.tar")) == list(content_of(backup))


def cut(path: Path) -> None:
    """The copying of it was interrupted."""
    path.write_bytes(path.read_bytes()[:-20_000])


def flip(path: Path) -> None:
    """One bit of it fell over."""
    content = bytearray(path.read_bytes())
    content[100_000] ^= 1
    path.write_bytes(content)


def folder_instead(path: Path) -> None:
    """Somebody made a folder of that name."""
    path.unlink()
    path.mkdir()


def damage(name: str) -> Change:
    """A database was damaged before it was packed."""

    def change(content: dict[str, bytes]) -> None:
        content[name] = content[name][:4096] + b"\x55" * 8192 + content[name][12_288:]

    return change


def changed(change: Change) -> Callable[[Path], None]:
    """Somebody packed it by hand."""
    return partial(repack, change=change)


SPOILT: Mapping[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "gone": (Path.unlink, ("cannot read the backup", "No such file")),
    "no tar": (lambda path: path.write_bytes(b"something else" * 1000), ("is no whole backup",)),
    "empty": (lambda path: path.write_bytes(b""), ("is no whole backup",)),
    "a folder": (folder_instead, ("cannot read the backup", "directory")),
    "cut": (cut, ("is no whole backup",)),
    "a bit": (flip, ("is damaged", "is not what was packed")),
    "main damaged": (changed(damage("tracker.db")), ("cannot be restored",)),
    "inbox damaged": (changed(damage("tracker.db.inbox")), ("cannot be restored",)),
    "no inbox": (changed(lambda content: content.pop("tracker.db.inbox")), ("holds other files",)),
    "more": (changed(lambda content: content.update({"../evil": b""})), ("holds other files",)),
    "no list": (changed(in_manifest(members=[])), ("holds other files",)),
    "bad list": (changed(in_manifest(members=7)), ("manifest.json cannot be read",)),
    "bad time": (changed(in_manifest(created_at="yesterday")), ("manifest.json cannot be read",)),
    "bad schema": (changed(in_manifest(schema={"../..": 1})), ("must name the schemas",)),
    "another schema": (changed(in_manifest(schema={"main": 1, "inbox": 1})), ("not those it says",)),
    "another id": (changed(in_manifest(installation="00" * 16)), ("not those it says",)),
    "newer": (
        changed(in_manifest(schema={"main": 900, "inbox": 2}, release="9.1")),
        ("made by release 9.1", "install release 9.1 or a later one"),
    ),
    "newer form": (
        changed(in_manifest(format=2, release="9.1", members=7)),
        ("made by release 9.1", "install release 9.1 or a later one"),
    ),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILT.values(), ids=SPOILT)
def test_a_backup_that_is_not_right_is_not_restored(
    run: Run, backup: Path, elsewhere: Callable[[], Path], spoil: Callable[[Path], object], words: tuple[str, ...]
) -> None:
    """The sentence names it and why, and nothing is left in the place it was wanted in."""
    spoil(backup)
    there = elsewhere()
    run("restore", str(backup), "--json").failed_with(str(backup), *words)
    assert [path.name for path in there.iterdir() if not path.name.endswith(".lock")] == []


def test_an_inbox_of_another_installation_is_not_restored(
    run: Run, backup: Path, elsewhere: Callable[[], Path]
) -> None:
    """Its opt-outs are other people's, whatever the checksums say."""
    there = elsewhere()
    run("account", "create", "Rook")
    run("backup", "other.tar")
    theirs = content_of(there / "other.tar")["tracker.db.inbox"]
    repack(backup, lambda content: content.update({"tracker.db.inbox": theirs}))
    run("restore", str(backup), "--force", "--json").failed_with(str(backup), "belongs to another installation")
    assert run("check").status == 0


def test_an_installation_is_replaced_by_force_alone(run: Run, backup: Path) -> None:
    """Without it nothing is touched."""
    before = {path.name: path.read_bytes() for path in backup.parent.iterdir() if path.name in FILES}
    run("restore", "backup.tar").failed_with("tracker.db is there already", "--force")
    assert {path.name: path.read_bytes() for path in backup.parent.iterdir() if path.name in FILES} == before
    ran = run("restore", "backup.tar", "--force")
    assert "What was there before is in tracker.db.replaced-" in ran.out
    assert "opt-outs that came after the backup" in ran.out


def test_nobody_may_be_at_work(run: Run, backup: Path) -> None:
    """A server, its worker, or whoever has a file open."""
    for lock, words in ((HERE.server_lock, "served by another process"), (HERE.worker_lock, "still at work")):
        with FileLock(lock):
            run("restore", "backup.tar", "--force").failed_with("tracker.db", words)
    for file in (HERE.main, HERE.inbox):
        with closing(sqlite3.connect(file)) as other:
            other.execute("select * from schema_versions").fetchone()
            run("restore", "backup.tar", "--force").failed_with(f"{file} is open in another process")


def test_a_restore_without_a_folder_is_an_error(run: Run, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is made for a mistyped path."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", "sqlite:////nowhere/at/all/tracker.db")
    run("restore", "backup.tar").failed_with("/nowhere/at/all/tracker.db does not exist")


def test_a_restore_that_cannot_be_written_leaves_nothing(run: Run, backup: Path, elsewhere: Callable[[], Path]) -> None:
    """A disk that fails on the way."""
    there = elsewhere()
    with files_can_grow_no_more():
        run("restore", str(backup), "--json").failed_with("cannot restore tracker.db", "File too large")
    assert [path.name for path in there.iterdir() if not path.name.endswith(".lock")] == []


def test_keys_beside_are_compared_with_those_that_signed(
    run: Run, backup: Path, elsewhere: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file, and in the environment; with others nothing is put in place."""
    there = elsewhere()
    (there / "tracker.db.keys").write_text(OTHER_KEY)
    run("restore", str(backup), "--json").failed_with("tracker.db.keys: signing key 1 is not the one that signed")
    monkeypatch.setenv("TRACKER_SECRET_KEYS", f"2:{'A' * 43}")
    run("restore", str(backup), "--json").failed_with("TRACKER_SECRET_KEYS: signing key 1 is missing")
    assert not (there / "tracker.db").exists()
    monkeypatch.setenv("TRACKER_SECRET_KEYS", (backup.parent / "tracker.db.keys").read_text().strip())
    assert run("restore", str(backup), "--json").json["keys"] == "environment"


def test_keys_that_came_after_a_backup_stay(run: Run, folder: Path) -> None:
    """Links they signed are in mails: the file beside holds all of the backup's, and one more."""
    run("account", "create", "Larkspur")
    run("backup", "backup.tar", "--with-keys")
    run("rotate-keys")
    keys = (folder / "tracker.db.keys").read_bytes()
    assert run("restore", "backup.tar", "--force").status == 0
    assert (folder / "tracker.db.keys").read_bytes() == keys
    assert run("check", "--json").json["signing_keys"] == [1, 2]


def test_other_keys_are_replaced_by_force_alone(run: Run, folder: Path, elsewhere: Callable[[], Path]) -> None:
    """They go aside with what they belonged to."""
    run("account", "create", "Larkspur")
    run("backup", "backup.tar", "--with-keys")
    there = elsewhere()
    (there / "tracker.db.keys").write_text(OTHER_KEY)
    run("restore", str(folder / "backup.tar"), "--json").failed_with("tracker.db.keys holds other keys", "--force")
    assert [path.name for path in there.iterdir() if not path.name.endswith(".lock")] == ["tracker.db.keys"]
    done = run("restore", str(folder / "backup.tar"), "--force", "--json").json
    assert (Path(done["replaced"]) / "tracker.db.keys").read_text() == OTHER_KEY
    assert run("check").status == 0


def test_a_half_restored_installation_is_opened_by_nobody(run: Run, backup: Path) -> None:
    """Whatever finds the mark of a restore says what to do; the files may be those of two installations."""
    HERE.restoring.mkdir()
    HERE.restore_mark.touch()
    for command in (("check",), ("migrate",), ("account", "create", "Rook"), ("key", "list"), ("serve", "--port", "0")):
        run(*command).failed_with("a restore of tracker.db was interrupted", "the same tracker restore again")
    run("backup", "another.tar").failed_with("a restore of tracker.db was interrupted")
