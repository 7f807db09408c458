"""What is left of files when the power goes: what was synced, and of the rest whatever chance leaves.

The rules are the weakest a file system may keep: what ``fsync`` has confirmed stays. Of everything after it any sector
may have arrived or not, a name made or removed may be there or not until its folder is synced, and a file that grew may
hold zeros where nothing arrived.
"""

from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.server.recording import Created, Linked, Resized, Step, Synced, Unlinked, Wrote

_SECTORS = (512, 4096)

Contents = Mapping[str, bytes]
"""What files hold, by their names in the folder."""


class _File:
    def __init__(self) -> None:
        self.kept = b""
        self.pending: list[Wrote | Resized] = []

    def sync(self) -> None:
        self.kept = self.arrived()
        self.pending = []

    def arrived(self) -> bytes:
        content = bytearray(self.kept)
        for step in self.pending:
            if isinstance(step, Resized):
                _resize(content, step.size)
            else:
                _put(content, _offset(content, step), step.data)
        return bytes(content)

    def torn(self, chance: Random) -> bytes:
        """Each sector comes or does not; each cut of the file too, the later only after the earlier."""
        content, size, share = bytearray(self.kept), chance.choice(_SECTORS), chance.random()
        cuts = sum(isinstance(step, Resized) for step in self.pending)
        cuts_left = chance.randint(0, cuts)
        for step in self.pending:
            if isinstance(step, Wrote):
                _put_torn(content, step, size, share, chance)
            elif cuts_left > 0:
                cuts_left -= 1
                _resize(content, step.size)
        return bytes(content)


class Disk:
    """Files of one folder, followed step by step."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder.resolve())
        self._names: dict[str, _File] = {}
        self._kept: dict[str, _File] = {}
        self._moves: list[tuple[str, _File | None]] = []

    def follow(self, step: Step) -> None:
        """The system has been asked for this."""
        match step:
            case Wrote(path) | Resized(path):
                self._names[path].pending.append(step)
            case Created(path):
                if path not in self._names:
                    self._move(path, _File())
            case Linked(old, new):
                self._move(new, self._names[old])
            case Unlinked(path):
                self._move(path, None)
            case Synced(path):
                self._sync(path)
            case _:
                pass

    @property
    def pending(self) -> int:
        """How much would be lost."""
        return len(self._moves) + sum(len(file.pending) for file in self._kept.values())

    def forgotten(self) -> Contents:
        """Nothing arrived but what was synced."""
        return {self._short(path): file.kept for path, file in self._kept.items()}

    def torn(self, chance: Random) -> Contents:
        """Some of the rest arrived."""
        names = dict(self._kept)
        for path, file in self._moves:
            if chance.random() < 0.5:
                _name(names, path, file)
        return {self._short(path): file.torn(chance) for path, file in names.items()}

    def _move(self, path: str, file: _File | None) -> None:
        _name(self._names, path, file)
        self._moves.append((path, file))

    def _sync(self, path: str) -> None:
        if path != self._folder:
            self._names[path].sync()
            return
        for name, file in self._moves:
            _name(self._kept, name, file)
        self._moves = []

    def _short(self, path: str) -> str:
        return path.removeprefix(f"{self._folder}/")


def laid_out(folder: Path, contents: Contents) -> Path:
    """A folder with these files."""
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def _name(names: dict[str, _File], path: str, file: _File | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file


def _offset(content: bytearray, step: Wrote) -> int:
    return len(content) if step.offset is None else step.offset


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


def _put_torn(content: bytearray, step: Wrote, size: int, share: float, chance: Random) -> None:
    offset, start = _offset(content, step), 0
    while start < len(step.data):
        end = min(len(step.data), start + size - (offset + start) % size)
        if chance.random() < share:
            _put(content, offset + start, step.data[start:end])
        start = end
