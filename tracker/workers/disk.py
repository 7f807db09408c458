"""How much room the files take, and how much is left."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Space(NamedTuple):
    """Bytes: of the files by name, 0 for one that is not there, and of the disk they lie on."""

    files: Mapping[str, int]
    free: int
    total: int


class Disk:
    """Looks in a thread, and waits ``patience_s`` at most: a disk that hangs keeps nobody waiting."""

    def __init__(self, files: Mapping[str, Path], *, patience_s: float = 0.25) -> None:
        self._files = dict(files)
        self._patience_s = patience_s
        self._looking: asyncio.Future[Space | None] | None = None
        self.space: Space | None = None
        """What the last look saw; None when the disk did not answer in time."""

    @property
    def ours(self) -> bool:
        """Whether there are files of ours to look at: those of a database server are its own."""
        return bool(self._files)

    async def look(self) -> None:
        """Look again. One that is still under way is waited for instead, so that no threads pile up."""
        if not self._files:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().run_in_executor(None, self._measure)
        done, _ = await asyncio.wait((self._looking,), timeout=self._patience_s)
        self.space = self._looking.result() if done else None

    def _measure(self) -> Space | None:
        try:
            sizes = {name: _size(path) for name, path in self._files.items()}
            usage = shutil.disk_usage(next(iter(self._files.values())).parent)
        except OSError:
            return None
        return Space(sizes, usage.free, usage.total)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
