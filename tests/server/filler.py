"""Fills a disk."""

import contextlib
from pathlib import Path


class Filler:
    """Takes all the space there is on a disk, and gives it back."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "filler"

    def fill(self) -> None:
        """Take what is free, also what has become free since."""
        with self._path.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self) -> None:
        """Give it all back."""
        self._path.unlink()
