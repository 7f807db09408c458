"""Locks end with their holder, and nobody else gets in meanwhile."""

import subprocess
import sys
from pathlib import Path

import pytest

from tracker.storage.database import BadDatabase
from tracker.storage.locks import FileLock, Locked

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from pathlib import Path
from tracker.storage.locks import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_is_held_by_one(tmp_path: Path) -> None:
    """A second one is told at once, and gets it when the first is done."""
    path, handles = tmp_path / "lock", Path("/proc/self/fd")
    with FileLock(path) as held:
        assert held.path == path
        before = len(list(handles.iterdir()))
        for _ in range(3):
            with pytest.raises(Locked, match="lock is locked by another process"), FileLock(path):
                pytest.fail("entered")
        assert len(list(handles.iterdir())) == before
    with FileLock(path):
        pass


def test_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The sentence is for an operator: what cannot be written, and why."""
    path = tmp_path / "missing" / "lock"
    with pytest.raises(BadDatabase, match=f"^cannot write {path} .*: No such file"), FileLock(path):
        pytest.fail("entered")


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """Nobody has to remove anything by hand."""
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked), FileLock(path):
            pytest.fail("entered")
        holder.kill()
        holder.communicate()
    with FileLock(path):
        pass


def test_lock_is_not_inherited(tmp_path: Path) -> None:
    """A child that outlives its parent does not hold what the parent held."""
    path = tmp_path / "lock"
    with FileLock(path):
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; print('runs', flush=True); sys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            close_fds=False,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "runs\n"
    with child, FileLock(path):
        child.communicate()
