"""Writes a backup beside whoever serves the installation."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from ..domain.keys import BadKeyring
from ..domain.times import written_time
from .archives import FORMAT, MANIFEST, NAMES, Archive, BadBackup, Manifest, Member, Telling, in_silence, new_archive
from .database import Unavailable
from .durable import sync_folder
from .installation import Files
from .keyfile import read_key_file
from .snapshots import Snapshot, snapshot


class Written(NamedTuple):
    """A backup that was made, and its size."""

    manifest: Manifest
    bytes: int


def back_up(
    files: Files, target: Path, *, release: str, now: int, with_keys: bool, overwrite: bool, tell: Telling
) -> Written:
    """Write a backup of an installation, whoever works on it; on stable storage and whole when ``target`` appears.

    ``now`` is Unix milliseconds. Nothing is left behind on failure. Raises ``BadDatabase``, ``BadKeyring``,
    ``Unavailable`` when it cannot be written, and ``BadBackup`` for a target that is there, unless ``overwrite``.
    """
    _refuse_existing(target, overwrite)
    with (
        _writing(target),
        TemporaryDirectory(prefix=f"{target.name}.", suffix=".partial", dir=target.parent) as folder,
    ):
        draft = Path(folder) / "draft.tar"
        with snapshot(files) as held, new_archive(draft, now) as archive:
            members = [_add_copy(archive, held, part, Path(folder), tell) for part in ("inbox", "main")]
            if with_keys:  # after the databases, which may know no key that is not in it
                members.append(archive.add(NAMES["keys"], io.BytesIO(_key_file(files)), in_silence))
            manifest = _manifest(held, release, now, members)
            archive.add(MANIFEST, io.BytesIO(msgspec.json.format(msgspec.json.encode(manifest))), in_silence)
        size = draft.stat().st_size
        _refuse_existing(target, overwrite)
        draft.replace(target)
        sync_folder(target.parent)
    return Written(manifest, size)


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if target.is_dir() or (os.path.lexists(target) and not overwrite):
        what = "a folder" if target.is_dir() else "there already: choose another name, or replace it with --force"
        raise BadBackup(f"cannot write the backup {target}: it is {what}")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        raise Unavailable(f"cannot write the backup {target}: {error}") from error
    except OSError as error:
        raise Unavailable(f"cannot write the backup {target}: {error.strerror or error}") from error


def _manifest(held: Snapshot, release: str, now: int, members: list[Member]) -> Manifest:
    return Manifest(
        format=FORMAT,
        release=release,
        created_at=written_time(now),
        installation=held.facts.installation.hex(),
        schema=held.facts.schema,
        signing_keys=tuple(sorted(held.facts.fingerprints)),
        members=tuple(members),
    )


def _key_file(files: Files) -> bytes:
    if read_key_file(files.keys) is None:
        raise BadKeyring(f"there is no key file {files.keys}: leave out --with-keys, or put the file back")
    return files.keys.read_bytes()


def _add_copy(archive: Archive, held: Snapshot, part: str, folder: Path, tell: Telling) -> Member:
    copy = folder / NAMES[part]
    held.copy(part, copy, lambda done, total: tell(f"copying {copy.name}", done, total))
    with copy.open("rb") as file:
        member = archive.add(copy.name, file, tell)
    copy.unlink()
    return member
