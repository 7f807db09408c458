"""A file that cannot be used at start: one sentence that names it, and status 1."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.harness import TRACKER, environment

pytestmark = pytest.mark.fault

_GARBAGE = b"This is not a database. " * 400


def serve(folder: Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Start a server that cannot work, and wait for its end."""
    command = (*prefix, *TRACKER, "serve", "--port", "0")
    return subprocess.run(command, cwd=folder, env=environment({}), capture_output=True, text=True, timeout=60)


def expect_a_sentence(run: subprocess.CompletedProcess[str], *names: str) -> None:
    """The error is for an operator: it names the file, and shows no traceback."""
    assert run.returncode == 1, run
    assert run.stderr.startswith("Error: "), run.stderr
    assert "Traceback" not in run.stderr
    assert all(name in run.stderr for name in names), run.stderr


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A folder with an installation that holds an account."""
    folder = tmp_path / "data"
    folder.mkdir()
    command = (*TRACKER, "account", "create", "north")
    subprocess.run(command, cwd=folder, env=environment({}), capture_output=True, check=True)
    return folder


def directory(file: Path) -> None:
    """Somebody made a folder of that name."""
    file.unlink(missing_ok=True)
    file.mkdir()


def garbage(file: Path) -> None:
    """Somebody wrote something else into it."""
    file.write_bytes(_GARBAGE)


@pytest.mark.parametrize("spoil", [directory, garbage])
@pytest.mark.parametrize("name", ["tracker.db", "tracker.db.inbox", "tracker.db.keys"])
def test_a_spoiled_file_is_named(installation: Path, name: str, spoil: Callable[[Path], None]) -> None:
    """F06: a directory in its place, or something that is no database and no list of keys."""
    spoil(installation / name)
    expect_a_sentence(serve(installation), name)


@pytest.mark.parametrize("name", ["tracker.db.inbox", "tracker.db.keys"])
def test_a_missing_file_is_named_and_not_made_anew(installation: Path, name: str) -> None:
    """The inbox holds opt-outs and the keys hold up old links: neither is replaced by an empty one."""
    (installation / name).unlink()
    expect_a_sentence(serve(installation), name)
    assert not (installation / name).exists()


def test_an_inbox_of_another_installation_is_named(installation: Path, tmp_path: Path) -> None:
    """Its opt-outs are those of other people."""
    other = tmp_path / "other"
    other.mkdir()
    command = (*TRACKER, "account", "create", "south")
    subprocess.run(command, cwd=other, env=environment({}), capture_output=True, check=True)
    shutil.copy(other / "tracker.db.inbox", installation / "tracker.db.inbox")
    expect_a_sentence(serve(installation), "tracker.db.inbox", "tracker.db")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, as_others: tuple[str, ...]) -> None:
    """F06: nothing can be created there."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o555)
    expect_a_sentence(serve(folder, as_others), "tracker.db")


@pytest.mark.parametrize("name", ["tracker.db", "tracker.db.inbox"])
def test_a_file_that_cannot_be_written_is_named(installation: Path, as_others: tuple[str, ...], name: str) -> None:
    """F06: the files are there, and one of them is read-only."""
    (installation / name).chmod(0o444)
    expect_a_sentence(serve(installation, as_others), name)
