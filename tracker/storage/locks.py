"""Locks that say who works on a database file; they end with the process that holds them."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from .database import BadDatabase


class Locked(BlockingIOError):
    """Another process holds this lock."""


class FileLock:
    """An advisory lock on a file of its own.

    Never on the database file itself: closing any handle of that drops SQLite's own locks of this process.
    ``held_means`` is what to say when another process holds it.
    """

    def __init__(self, path: Path, held_means: str | None = None) -> None:
        self.path = path
        self._held_means = held_means or f"{path} is locked by another process"

    def __enter__(self) -> Self:
        """Raises :class:`Locked` at once when another process holds it, and ``BadDatabase`` where it cannot be made."""
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadDatabase(
                f"cannot write {self.path} beside the database: {error.strerror}; check its owner and its permissions"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            raise Locked(self._held_means) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
