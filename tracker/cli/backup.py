"""Backups: one file of a whole installation, and back again."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
import msgspec

from .. import __version__
from ..settings import Settings, from_environment
from ..storage.archives import Manifest
from ..storage.backups import back_up
from ..storage.installation import Files, files_of
from ..storage.restores import Restore, Restored
from .opening import keys_of
from .output import json_option, show
from .progress import Progress


@click.command(short_help="Write a backup, also beside a running server.")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Put the signing keys in too: whoever has the file can forge links.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
def backup(target: Path, with_keys: bool, force: bool, as_json: bool) -> None:
    """Write a backup of the whole installation to FILE, also beside a running server.

    FILE is a tar of both databases as they are at one moment, with checksums. It holds personal data: encrypt it,
    and delete it within 30 days. The signing keys are not in it, since whoever has them can forge links: keep them
    apart, or put them in with --with-keys.
    """
    settings = from_environment()
    files = files_of(settings.database_url)
    if with_keys:
        _refuse_keys_elsewhere(settings)
    with _stoppable("the backup"), Progress(quiet=as_json) as progress:
        written = back_up(
            files,
            target,
            release=__version__,
            now=time.time_ns() // 1_000_000,
            with_keys=with_keys,
            overwrite=force,
            tell=progress.tell,
        )
    manifest = written.manifest
    members = [msgspec.structs.asdict(member) for member in manifest.members]
    content = {"path": str(target), "bytes": written.bytes, "created_at": manifest.created_at, "members": members}
    sentence = f"Wrote {target} ({written.bytes:,} bytes): {files.main} as it was at {manifest.created_at}."
    show(content, f"{sentence}\n{_of_keys(settings, files, manifest)}", as_json=as_json)


def _refuse_keys_elsewhere(settings: Settings) -> None:
    if settings.secret_keys is not None:
        raise click.ClickException(
            "--with-keys puts in the key file, and the keys are in TRACKER_SECRET_KEYS instead: "
            "leave it out, and keep the setting where you keep secrets"
        )


def _of_keys(settings: Settings, files: Files, manifest: Manifest) -> str:
    if manifest.member("keys") is not None:
        return "The signing keys are in it: whoever has the file can forge links."
    where = files.keys if settings.secret_keys is None else "TRACKER_SECRET_KEYS"
    return f"Not in it: {_named(manifest)}. Keep a copy of {where} in another place; links in mails need it."


@click.command(short_help="Put a backup in the place of an installation.")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the installation that is there; its files are kept aside.")
@json_option
def restore(path: Path, force: bool, as_json: bool) -> None:
    """Put the backup FILE where TRACKER_DATABASE_URL says, while no server runs there.

    Everything in FILE is verified before anything is put in place. Interrupted on the way, it is finished by running
    it again with the same FILE; until then no command opens the installation.
    """
    settings = from_environment()
    files = files_of(settings.database_url)
    secrets = None
    if settings.secret_keys is not None:
        secrets = {number: key.secret for number, key in keys_of(settings.secret_keys).items()}
    with _stoppable("the restore"), Progress(quiet=as_json) as progress:
        done = Restore(files=files, path=path, secrets=secrets, overwrite=force, tell=progress.tell).run()
    keys = "environment" if secrets is not None else "in place" if files.keys.exists() else "needed"
    content = {
        "database": str(files.main),
        "created_at": done.manifest.created_at,
        "release": done.manifest.release,
        "outdated": done.outdated,
        "signing_keys": done.manifest.signing_keys,
        "keys": keys,
        "replaced": str(done.aside) if done.aside is not None else None,
    }
    show(content, _told(files, done, keys_needed=keys == "needed"), as_json=as_json)


def _told(files: Files, done: Restored, *, keys_needed: bool) -> str:
    manifest = done.manifest
    lines = [f"Restored {files.main} and {files.inbox} as they were at {manifest.created_at}."]
    if keys_needed:
        lines.append(
            f"Needed before the start, and not in this backup: {_named(manifest)}. Links in mails already sent need "
            f"them: put your copy at {files.keys}, or set TRACKER_SECRET_KEYS."
        )
    if done.outdated:
        lines.append(f"It is of release {manifest.release}: the next start brings its schema to this one.")
    if done.aside is not None:
        lines.append(
            f"What was there before is in {done.aside}, with opt-outs that came after the backup. "
            "Delete the folder once you need none of it."
        )
    return "\n".join(lines)


def _named(manifest: Manifest) -> str:
    numbers = ", ".join(map(str, manifest.signing_keys))
    return f"the signing key{'s' if len(manifest.signing_keys) > 1 else ''} {numbers}"


@contextmanager
def _stoppable(what: str) -> Iterator[None]:
    """A signal ends the work as an error does: what it has begun is cleared away."""

    def stop(number: int, _: FrameType | None) -> None:
        raise click.ClickException(f"{what} was stopped by {signal.Signals(number).name}")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
