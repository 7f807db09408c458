"""The form of a backup: a tar file of databases and keys, which ends with a list of what is in it."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from ..domain.times import parse_time

FORMAT = 1
MANIFEST = "manifest.json"
NAMES = {"inbox": "tracker.db.inbox", "main": "tracker.db", "keys": "tracker.db.keys"}
"""What the parts are called in a backup, whatever they are called on disk: unpacked by hand, they fit together."""

_MOST_MANIFEST_BYTES = 65_536
_MOST_KEYS_BYTES = 65_536
_CHUNK_BYTES = 1 << 20

Telling = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many of it are done."""


def in_silence(_: str, __: int, ___: int) -> None:
    """For what is too small to be told of."""


class BadBackup(ValueError):
    """This backup cannot be used, or not here; the message names the file and says what to do."""


class Member(msgspec.Struct, frozen=True):
    """A file in a backup; ``sha256`` in hexadecimal."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup. ``created_at``: all that was acknowledged before is in it. Last in the file: it is whole."""

    format: int
    release: str
    created_at: str
    installation: str
    schema: dict[str, int]
    signing_keys: tuple[int, ...]
    members: tuple[Member, ...]

    def member(self, part: str) -> Member | None:
        """The file of a part, ``main``, ``inbox`` or ``keys``."""
        return next((member for member in self.members if member.name == NAMES[part]), None)


class Archive:
    """A backup that is written."""

    def __init__(self, tar: tarfile.TarFile, now: int) -> None:
        self._tar = tar
        self._now = now

    def add(self, name: str, content: BinaryIO, tell: Telling) -> Member:
        """Put a file in, and give what the list says of it."""
        entry = tarfile.TarInfo(name)
        entry.size = content.seek(0, io.SEEK_END)
        entry.mode, entry.mtime = 0o600, self._now / 1000
        content.seek(0)
        watched = _Watched(content, entry.size, f"packing {name}", tell)
        self._tar.addfile(entry, watched)  # type: ignore[arg-type]
        return Member(name, entry.size, watched.sha256())


@contextmanager
def new_archive(path: Path, now: int) -> Iterator[Archive]:
    """A new file to be written, on stable storage in the end. ``now`` is Unix milliseconds."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        with tarfile.TarFile(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, copybufsize=_CHUNK_BYTES) as tar:
            yield Archive(tar, now)
        file.flush()
        os.fsync(handle)


class _Watched:
    """A file that is read through, once: its checksum, and how far it is."""

    def __init__(self, file: IO[bytes], size: int, what: str, tell: Telling) -> None:
        self._file = file
        self._size = size
        self._what = what
        self._tell = tell
        self._done = 0
        self._hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        self._done += len(data)
        self._tell(self._what, self._done, self._size)
        return data

    def sha256(self) -> str:
        return self._hash.hexdigest()


class Backup:
    """A backup that is read."""

    def __init__(self, path: Path, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._path = path
        self._tar = tar
        self.manifest = manifest

    def unpack(self, member: Member, to: Path, tell: Telling) -> None:
        """Write a member to a new file, and see that it is what was packed; durable when this returns.

        Raises :class:`BadBackup`.
        """
        found = self._tar.getmember(member.name)
        packed = self._tar.extractfile(found)
        if packed is None or found.size != member.bytes:
            raise _damaged(self._path, member.name)
        watched = _Watched(packed, member.bytes, f"unpacking {member.name}", tell)
        handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            while data := watched.read(_CHUNK_BYTES):
                file.write(data)
            file.flush()
            os.fsync(handle)
        if watched.sha256() != member.sha256:
            raise _damaged(self._path, member.name)


@contextmanager
def opened_backup(path: Path) -> Iterator[Backup]:
    """A backup to be restored. Raises :class:`BadBackup`."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadBackup(f"cannot read the backup {path}: {error.strerror}") from error
    try:
        with file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield Backup(path, tar, _read_manifest(path, tar))
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise BadBackup(f"{path} is no whole backup of Tracker: {error}") from error


def _damaged(path: Path, name: str) -> BadBackup:
    return BadBackup(f"{path} is damaged: its {name} is not what was packed. Take another backup")


class _Head(msgspec.Struct):
    """What a manifest of any form has."""

    format: int
    release: str


def _read_manifest(path: Path, tar: tarfile.TarFile) -> Manifest:
    packed = tar.extractfile(MANIFEST)
    content = packed.read(_MOST_MANIFEST_BYTES) if packed is not None else b""
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format > FORMAT:
            raise BadBackup(
                f"{path} was made by release {head.release} in a form that this one does not know: "
                f"install release {head.release} or a later one"
            )
        manifest = msgspec.json.decode(content, type=Manifest)
        parse_time(manifest.created_at)
    except (msgspec.DecodeError, ValueError) as error:
        if isinstance(error, BadBackup):
            raise
        raise BadBackup(f"{path} is no backup of Tracker: its {MANIFEST} cannot be read: {error}") from error
    _check_members(path, tar, manifest)
    return manifest


def _check_members(path: Path, tar: tarfile.TarFile, manifest: Manifest) -> None:
    listed = sorted([MANIFEST, *(member.name for member in manifest.members)])
    if sorted(tar.getnames()) != listed or not all(entry.isreg() for entry in tar.getmembers()):
        raise BadBackup(f"{path} is no backup of Tracker: it holds other files than its {MANIFEST} says")
    if set(manifest.schema) != {"main", "inbox"}:
        raise BadBackup(f"{path} is no backup of Tracker: its {MANIFEST} must name the schemas of both databases")
    if manifest.member("main") is None or manifest.member("inbox") is None or set(listed) - {MANIFEST, *NAMES.values()}:
        raise BadBackup(f"{path} is no backup of Tracker: it must hold {NAMES['main']} and {NAMES['inbox']}")
    keys = manifest.member("keys")
    if keys is not None and keys.bytes > _MOST_KEYS_BYTES:
        raise BadBackup(f"{path} is no backup of Tracker: its {NAMES['keys']} is too large")
