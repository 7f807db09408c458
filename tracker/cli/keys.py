"""The signing keys: a new one takes its turn, and the old ones stay."""

import asyncio
import time

import click

from ..domain.keys import Key, Keyring, new_secret
from ..settings import Settings, from_environment
from ..storage.installation import Files, files_of
from ..storage.keyfile import add_key, next_key_number, written_key
from ..storage.locks import FileLock
from .opening import existing, keys_of, prepared
from .output import json_option, show

_SIGNS_AFTER_MS = 10_000
"""Twice the time within which every process rereads the file."""

_TWO_CHANGES = """\
The keys stand in TRACKER_SECRET_KEYS, where only you can change them. Nothing was changed. Do this, in this order:

1. On every server, so that each can read links of the new key before one makes them, add to the end of
   TRACKER_SECRET_KEYS:  ,{key}
   and set:  TRACKER_SIGNING_KEY={old}
   Restart them all.
2. When all run with it, on every server set:  TRACKER_SIGNING_KEY={new}
   Restart them all.

Keep the old keys for as long as links in old mails are to work. The new key is shown this once."""


@click.command("rotate-keys", short_help="Let a new key sign links; old links go on working.")
@json_option
def rotate_keys(as_json: bool) -> None:
    """Let a new key sign links; old links go on working, so the old keys stay.

    The new key is added to the key file at once and signs ten seconds later, also beside a running server. With
    TRACKER_SECRET_KEYS set, this prints what to change there and changes nothing.
    """
    settings = from_environment()
    if settings.secret_keys is not None:
        _explain(settings.secret_keys, settings.signing_key, as_json=as_json)
    else:
        _rotate(settings, as_json=as_json)


def _explain(secret_keys: str, signing_key: int | None, *, as_json: bool) -> None:
    keys = keys_of(secret_keys)
    old = Keyring({number: key.secret for number, key in keys.items()}, signing_key).signing
    new = next_key_number(keys)
    written = written_key(new, Key(new_secret()))
    changes = [
        {"append": {"TRACKER_SECRET_KEYS": f",{written}"}, "set": {"TRACKER_SIGNING_KEY": str(old)}},
        {"append": {}, "set": {"TRACKER_SIGNING_KEY": str(new)}},
    ]
    sentence = _TWO_CHANGES.format(key=written, old=old, new=new)
    show({"changed": False, "key": new, "changes": changes}, sentence, as_json=as_json)


def _rotate(settings: Settings, *, as_json: bool) -> None:
    asyncio.run(existing(settings))
    files = files_of(settings.database_url)
    number = _added(files)
    _, done = asyncio.run(prepared(settings))  # which records the fingerprint of the new key
    fixed = settings.signing_key is not None
    when = (
        f"Links are signed with key {done.keyring.signing}, since TRACKER_SIGNING_KEY says so."
        if fixed
        else f"It signs new links in {_SIGNS_AFTER_MS // 1000} seconds, when every process has read it."
    )
    sentence = f"Added signing key {number} to {files.keys}. {when}\nOld links go on working: keep the old keys."
    signs_after_s = None if fixed else _SIGNS_AFTER_MS // 1000
    show({"changed": True, "key": number, "signs_after_seconds": signs_after_s}, sentence, as_json=as_json)


def _added(files: Files) -> int:
    with FileLock(files.keys_lock):
        return add_key(files.keys, signs_from=time.time_ns() // 1_000_000 + _SIGNS_AFTER_MS)
