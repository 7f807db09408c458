"""A restore that is killed leaves what was there, or a state that says what it is; files are never mixed."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage import killed_restores
from tracker.storage.accounts import Accounts
from tracker.storage.archives import BadBackup
from tracker.storage.backups import back_up
from tracker.storage.database import BadDatabase
from tracker.storage.installation import Files, prepare
from tracker.storage.keyfile import read_key_file
from tracker.storage.restores import Restore, Restored
from tracker.storage.swaps import Swap

ROOT = Path(__file__).parents[2]
FEWEST_STEPS = 15
INTERRUPTED = "a restore of it was interrupted: finish it by running the same tracker restore again"


def made(folder: Path, name: str) -> Files:
    """An installation with keys of its own and one account of that name."""

    async def make() -> None:
        await prepare(files, None)
        async with files.main_database() as main:
            await Accounts(main).create(name)

    folder.mkdir()
    files = Files(folder / "tracker.db")
    asyncio.run(make())
    return files


def account_names(files: Files) -> set[str]:
    """As a server would find them. Raises ``BadDatabase``."""

    async def read() -> set[str]:
        await prepare(files, None)
        async with files.main_database() as main:
            return {account.name for account in await Accounts(main).all()}

    return asyncio.run(read())


def backed_up(files: Files, target: Path) -> Path:
    """A backup with the keys."""
    back_up(files, target, release="1.0", now=0, with_keys=True, overwrite=False, tell=lambda *_: None)
    return target


def restored(backup: Path, files: Files, *, overwrite: bool = True) -> Restored:
    """Restore it."""
    return Restore(files=files, path=backup, secrets=None, overwrite=overwrite, tell=lambda *_: None).run()


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A backup of the installation "New"."""
    return backed_up(made(tmp_path / "new", "New"), tmp_path / "new.tar")


@pytest.fixture
def old(tmp_path: Path) -> Files:
    """The installation "Old", as a power cut leaves it: part of it stands in its logs."""
    source, files = made(tmp_path / "source", "Older"), Files(tmp_path / "old" / "tracker.db")
    with closing(sqlite3.connect(source.main)) as main, closing(sqlite3.connect(source.inbox)) as inbox:
        main.execute("update accounts set name = 'Old'")
        main.commit()
        inbox.execute("update heartbeat set at = 1")
        inbox.commit()
        shutil.copytree(source.main.parent, files.main.parent)
    assert {path.name for path in files.main.parent.glob("*-wal")} == {"tracker.db-wal", "tracker.db.inbox-wal"}
    return files


def test_a_restore_killed_at_any_step_leaves_the_old_or_says_what_it_is(tmp_path: Path, new: Path, old: Files) -> None:
    """F28: killed before each change of the disk in turn; the same restore then brings it to its end."""
    place = tmp_path / "killed"
    command = (sys.executable, "-m", killed_restores.__name__, str(new), str(old.main.parent), str(place))
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    steps = sorted(place.iterdir(), key=lambda folder: int(folder.name))
    states = [state_after_kill(Files(folder / "tracker.db")) for folder in steps]
    assert len(states) > FEWEST_STEPS
    # One after the other: never back again, and whoever opens it on the way is told.
    assert list(dict.fromkeys(states)) == ["Old", INTERRUPTED, "New"]
    for folder in steps:
        expect_finished(folder, new)


def state_after_kill(files: Files) -> str:
    """What a server would find."""
    try:
        names = account_names(files)
    except BadDatabase as error:
        return str(error).replace(str(files.main), "it")
    return " ".join(names)


def expect_finished(folder: Path, new: Path) -> None:
    """Restored once more all is new, and what was old is aside, whole, with what stood in its logs."""
    files = Files(folder / "tracker.db")
    restored(new, files)
    assert account_names(files) == {"New"}
    assert read_key_file(files.keys) == read_key_file(new.with_name("new") / "tracker.db.keys")
    assert not files.restoring.exists()
    kept = names_aside(folder)
    assert kept.count("Old") == 1
    assert set(kept) <= {"Old", "New"}


def names_aside(folder: Path) -> list[str]:
    """The accounts of what was replaced; both files of each are there."""
    asides = list(folder.glob("*.replaced-*"))
    assert all((aside / "tracker.db.inbox").exists() for aside in asides)
    return sorted(name_in(aside / "tracker.db") for aside in asides)


def name_in(main: Path) -> str:
    """The one account of a database."""
    with closing(sqlite3.connect(main)) as database:
        return str(database.execute("select name from accounts").fetchone()[0])


def test_what_was_there_is_kept_whole(new: Path, old: Files) -> None:
    """With its keys, which are others, and with what stood in its logs."""
    done = restored(new, old)
    assert account_names(old) == {"New"}
    assert done.aside is not None
    assert account_names(Files(done.aside / "tracker.db")) == {"Old"}


def test_a_log_without_its_database_is_not_taken_for_the_new_ones(tmp_path: Path, new: Path, old: Files) -> None:
    """It counts as something that is there, and goes aside."""
    old.main.unlink()
    old.inbox.unlink()
    old.keys.unlink()
    with pytest.raises(BadDatabase, match=r"tracker\.db-wal is there already"):
        restored(new, old, overwrite=False)
    done = restored(new, old)
    assert account_names(old) == {"New"}
    assert done.aside is not None
    assert {"tracker.db-wal", "tracker.db.inbox-wal"} <= {path.name for path in done.aside.iterdir()}


def interrupt(files: Files, backup: Path) -> None:
    """Leave the installation as a restore of that backup does that is stopped once its files are whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Swap, "_sync", stop)
        with pytest.raises(KeyboardInterrupt):
            restored(backup, files)


def stop(_: Swap) -> None:
    """A signal comes."""
    raise KeyboardInterrupt


def test_another_backup_does_not_finish_an_interrupted_restore(tmp_path: Path, new: Path, old: Files) -> None:
    """It is told whose was interrupted; with force that one is finished first, and all three are kept apart."""
    third = backed_up(made(tmp_path / "third", "Third"), tmp_path / "third.tar")
    interrupt(old, new)
    with pytest.raises(BadBackup, match=r"a restore of another backup, of 1970-01-01T00:00:00.000Z, was interrupted"):
        restored(third, old, overwrite=False)
    with pytest.raises(BadDatabase, match="was interrupted"):
        account_names(old)
    restored(third, old)
    assert account_names(old) == {"Third"}
    assert names_aside(old.main.parent) == ["New", "Old"]


def test_an_interrupted_restore_into_an_empty_place_is_finished(tmp_path: Path, new: Path) -> None:
    """Without force, which would ask to replace what the restore itself has put there."""
    files = Files(tmp_path / "empty" / "tracker.db")
    files.main.parent.mkdir()
    interrupt(files, new)
    assert restored(new, files, overwrite=False).aside is None
    assert account_names(files) == {"New"}
