"""Restores a backup again and again, each time killed one step later, until one ends by itself.

Usage: ``python killed_restores.py BACKUP INSTALLATION PLACE``. Each restore replaces a copy of the installation, which
is left behind as it was when the restore was killed: ``PLACE/1``, ``PLACE/2`` ...
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

from tracker.storage.installation import Files
from tracker.storage.restores import Restore

STEPS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "open"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_before(step: int) -> None:
    """Kill this process when it is about to change something on the disk for the ``step``-th time."""
    done = itertools.count(1)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        reads = event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING)
        if event in STEPS and not reads and next(done) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def restore(folder: Path, backup: Path) -> None:
    """As the command does it."""
    files = Files(folder / "tracker.db")
    Restore(files=files, path=backup, secrets=None, overwrite=True, tell=lambda *_: None).run()


def main(backup: Path, installation: Path, place: Path) -> None:
    """One folder for each step."""
    for step in itertools.count(1):
        folder = place / str(step)
        shutil.copytree(installation, folder)
        child = os.fork()
        if child == 0:
            killed_before(step)
            restore(folder, backup)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
