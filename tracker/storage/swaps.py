"""Puts the files of a restore in their places, so that a crash leaves the old ones, or a state that says of itself what
it is."""

import contextlib
import os
import shutil
import time
from pathlib import Path

import msgspec

from .archives import Manifest
from .durable import give_to_owner_of, sync_folder
from .installation import Files

_OF_A_DATABASE = ("", "-wal", "-shm", "-journal")


class _Mark(msgspec.Struct, frozen=True):
    """While it is there, the files of ``manifest`` named ``placed`` are going to their places; those that stood there
    go to ``aside``."""

    manifest: Manifest
    placed: tuple[str, ...]
    aside: str


class Swap:
    """The new files wait in a folder beside the database. A mark in it says that they are whole, and going.

    Whoever is stopped before the mark has changed nothing. From then on nobody opens the installation until
    :meth:`finish` has been there, which goes on wherever it was stopped.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._place = files.main.parent
        self._new = files.restoring / "new"
        self._old = files.restoring / "old"

    def interrupted(self) -> Manifest | None:
        """The backup whose restore was stopped on the way; None when all is in its place."""
        with contextlib.suppress(FileNotFoundError):
            return self._read_mark().manifest
        return None

    def standing(self) -> list[Path]:
        """What stands where the databases go, their logs among it."""
        of_both = [f"{path.name}{end}" for path in (self._files.main, self._files.inbox) for end in _OF_A_DATABASE]
        return [path for path in map(self._place.joinpath, of_both) if os.path.lexists(path)]

    def begin(self) -> Files:
        """An empty folder for the new files, to be named as in their places; what an unmarked restore left goes."""
        self.forget()
        self._new.mkdir(parents=True, mode=0o700)
        self._old.mkdir(mode=0o700)
        return Files(self._new / self._files.main.name)

    def forget(self) -> None:
        """Remove what a restore that changed nothing has left."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._files.restoring)

    def commit(self, manifest: Manifest) -> None:
        """From here on the new files, which are on stable storage, are the installation."""
        placed = sorted(path.name for path in self._new.iterdir())
        standing = self.standing()
        for name in placed:
            give_to_owner_of(standing[0] if standing else self._place, self._new / name)
        seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
        moment = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(seconds))}{milliseconds:03}Z"
        mark = _Mark(manifest, tuple(placed), f"{self._files.main.name}.replaced-{moment}")
        for folder in (self._new, self._files.restoring, self._place):
            sync_folder(folder)
        self._write_mark(mark)

    def finish(self) -> Path | None:
        """Put all in its place, and give the folder that holds what stood there before, if anything did."""
        mark = self._read_mark()
        for path in {*self.standing(), *map(self._place.joinpath, mark.placed)}:
            # One of ours whose new file waits no more is the new one already.
            if os.path.lexists(path) and (path.name not in mark.placed or (self._new / path.name).exists()):
                path.rename(self._old / path.name)
        self._sync()
        for name in mark.placed:
            if (self._new / name).exists():
                (self._new / name).rename(self._place / name)
        self._sync()
        aside = self._kept_aside(mark)
        self._files.restore_mark.unlink()
        sync_folder(self._files.restoring)
        self.forget()
        return aside

    def _kept_aside(self, mark: _Mark) -> Path | None:
        aside = self._place / mark.aside
        if self._old.exists() and any(self._old.iterdir()):
            self._old.rename(aside)
            self._sync()
        return aside if aside.exists() else None

    def _sync(self) -> None:
        for folder in (self._new, self._old, self._place):
            if folder.exists():
                sync_folder(folder)

    def _read_mark(self) -> _Mark:
        return msgspec.json.decode(self._files.restore_mark.read_bytes(), type=_Mark)

    def _write_mark(self, mark: _Mark) -> None:
        draft = self._files.restoring / "mark.new"
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(mark))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._files.restore_mark)
        sync_folder(self._files.restoring)
