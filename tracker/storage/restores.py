"""Puts a backup in the place of an installation, or of nothing, after looking at every byte of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..domain.keys import BadKeyring, Keyring
from .archives import Backup, BadBackup, Manifest, Telling, opened_backup
from .database import BadDatabase, Unavailable
from .durable import give_to_owner_of
from .fingerprints import refuse_other_keys
from .installation import Files, ring_of
from .keyfile import read_key_file
from .locks import FileLock, Locked
from .migrations import migrations
from .snapshots import examine, in_use
from .swaps import Swap


class Restored(NamedTuple):
    """What a restore did. ``outdated``: the next start brings the schema to this release.

    ``aside`` holds what stood there before, if anything did.
    """

    manifest: Manifest
    outdated: bool
    aside: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A backup, and the place it is wanted in; ``secrets`` are the signing keys that the environment gives."""

    files: Files
    path: Path
    secrets: Mapping[int, bytes] | None
    overwrite: bool
    tell: Telling

    def run(self) -> Restored:
        """Verify everything, then put it in place; what stood there before is kept aside.

        Raises ``BadBackup``, ``BadDatabase``, ``BadKeyring``, ``Locked`` or ``Unavailable`` with nothing changed.
        Whoever is stopped after that runs it again with the same backup; until then nobody opens the installation.
        """
        if not self.files.main.parent.is_dir():
            raise BadDatabase(f"the folder of the database {self.files.main} does not exist: make it first")
        with _explained(self.files), opened_backup(self.path) as backup, _nobody_at_work(self.files):
            manifest, swap = backup.manifest, Swap(self.files)
            outdated = _is_outdated(self.path, manifest)
            interrupted = swap.interrupted()
            if interrupted is not None:
                self._refuse_another(interrupted, manifest)
                aside = swap.finish()
            if interrupted != manifest:
                self._prepare(backup, swap)
                aside = swap.finish()
        return Restored(manifest, outdated, aside)

    def _refuse_another(self, interrupted: Manifest, manifest: Manifest) -> None:
        if interrupted != manifest and not self.overwrite:
            raise BadBackup(
                f"a restore of another backup, of {interrupted.created_at}, was interrupted: "
                "run that one again, or replace what it restores with --force"
            )

    def _prepare(self, backup: Backup, swap: Swap) -> None:
        """Have the new files verified and waiting; what fails leaves nothing behind."""
        self._refuse_occupied(swap)
        try:
            new = swap.begin()
            fingerprints = self._unpacked(backup, new)
            if not self._keys_wanted(new, fingerprints):
                new.keys.unlink(missing_ok=True)
            self._refuse_occupied(swap)
            swap.commit(backup.manifest)
        except BaseException:
            if swap.interrupted() is None:
                swap.forget()
            raise

    def _refuse_occupied(self, swap: Swap) -> None:
        standing = swap.standing()
        if standing and not self.overwrite:
            raise BadDatabase(
                f"{standing[0]} is there already: restore to another place, or replace the installation with --force"
            )
        for file in (self.files.main, self.files.inbox):
            if file in standing and in_use(file):
                raise BadDatabase(f"{file} is open in another process: wait for its end before you restore")

    def _unpacked(self, backup: Backup, new: Files) -> Mapping[int, bytes]:
        """Unpack and verify, and give the fingerprints of the signing keys that the database has seen."""
        for part, file in (("inbox", new.inbox), ("main", new.main), ("keys", new.keys)):
            member = backup.manifest.member(part)
            if member is not None:
                backup.unpack(member, file, self.tell)
        self.tell("checking every page", 0, 1)
        try:
            facts = examine(new)
        except BadDatabase as error:
            raise BadBackup(f"{self.path} cannot be restored: {error}") from error
        if (facts.installation.hex(), facts.schema) != (backup.manifest.installation, backup.manifest.schema):
            raise BadBackup(f"{self.path} cannot be restored: its databases are not those it says it holds")
        self.tell("checking every page", 1, 1)
        return facts.fingerprints

    def _keys_wanted(self, new: Files, fingerprints: Mapping[int, bytes]) -> bool:
        """Whether the keys of the backup go into place. Raises ``BadKeyring`` when links in old mails would fail."""
        if self.secrets is not None:
            _refuse_other_keys("TRACKER_SECRET_KEYS", Keyring(self.secrets), fingerprints)
            return False
        packed, beside = read_key_file(new.keys), read_key_file(self.files.keys)
        if packed is not None:
            _refuse_other_keys(str(self.path), ring_of(packed, None), fingerprints)
        if beside is None:
            return packed is not None
        if packed is not None and any(beside.get(number) != key for number, key in packed.items()):
            if self.overwrite:
                return True
            raise BadKeyring(
                f"{self.files.keys} holds other keys than {self.path}: move it away, or replace it with --force"
            )
        _refuse_other_keys(str(self.files.keys), ring_of(beside, None), fingerprints)
        return False


@contextmanager
def _explained(files: Files) -> Iterator[None]:
    try:
        yield
    except (Locked, Unavailable):
        raise
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise Unavailable(f"cannot restore {files.main}: {error.strerror or error}{where}") from error


@contextmanager
def _nobody_at_work(files: Files) -> Iterator[None]:
    served = f"{files.main} is served by another process: stop that before you restore"
    at_work = f"the worker of {files.main} is still at work: wait for its end before you restore"
    with FileLock(files.server_lock, served), FileLock(files.worker_lock, at_work), FileLock(files.keys_lock):
        for lock in (files.server_lock, files.worker_lock, files.keys_lock):
            give_to_owner_of(files.main if files.main.exists() else files.main.parent, lock)
        yield


def _is_outdated(path: Path, manifest: Manifest) -> bool:
    """Whether this release has to bring it up to date. Raises ``BadBackup`` for one of a later release."""
    known = {part: len(migrations(part)) for part in manifest.schema}
    if any(version > known[part] for part, version in manifest.schema.items()):
        raise BadBackup(
            f"{path} was made by release {manifest.release}, whose schema this release does not know: "
            f"install release {manifest.release} or a later one"
        )
    return manifest.schema != known


def _refuse_other_keys(whose: str, keyring: Keyring, fingerprints: Mapping[int, bytes]) -> None:
    try:
        refuse_other_keys(keyring, fingerprints)
    except BadKeyring as error:
        raise BadKeyring(f"{whose}: {error}") from None
