"""The file that holds the signing keys, for installations that set none in the environment."""

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from ..domain.keys import LAST_KEY_NUMBER, BadKeyring, Key, new_secret
from .durable import give_to_owner_of, sync_folder


def parse_keys(text: str) -> dict[int, Key]:
    """Keys by number, from ``1:<base64url of 32 bytes>,2:...`` (commas or line ends between).

    A key that signs later says so: ``2:<base64url of 32 bytes>:<Unix milliseconds>``.
    Raises ``BadKeyring``, whose message never shows a secret.
    """
    found: dict[int, Key] = {}
    for item in text.replace("\n", ",").split(","):
        if not item.strip():
            continue
        number, _, rest = item.strip().partition(":")
        secret, _, signs_from = rest.partition(":")
        if not (re.fullmatch(r"[0-9]{1,3}", number) and rest and re.fullmatch(r"[0-9]{0,15}", signs_from)):
            raise BadKeyring("signing keys are written as 1:<base64url of 32 bytes>, with commas between them")
        if int(number) in found:
            raise BadKeyring(f"signing key {number} is there twice")
        found[int(number)] = Key(_secret(number, secret), int(signs_from or 0))
    return found


def secrets_of(setting: str | None) -> dict[int, bytes] | None:
    """The secrets that ``TRACKER_SECRET_KEYS`` gives, by number; None where it is not set. Raises ``BadKeyring``."""
    if setting is None:
        return None
    try:
        return {number: key.secret for number, key in parse_keys(setting).items()}
    except BadKeyring as error:
        raise BadKeyring(f"TRACKER_SECRET_KEYS: {error}") from None


def _secret(number: str, text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadKeyring(f"signing key {number} is not base64url") from None


def written_keys(keys: Mapping[int, Key]) -> str:
    """The form that :func:`parse_keys` reads, a line a key."""
    return "".join(f"{written_key(number, key)}\n" for number, key in keys.items())


def written_key(number: int, key: Key) -> str:
    """One key in that form."""
    when = f":{key.signs_from}" if key.signs_from else ""
    return f"{number}:{base64.urlsafe_b64encode(key.secret).decode().rstrip('=')}{when}"


def next_key_number(keys: Mapping[int, Key]) -> int:
    """The number of a key that is added to these. Raises ``BadKeyring`` when there is none left."""
    if max(keys) >= LAST_KEY_NUMBER:
        raise BadKeyring(f"signing key {LAST_KEY_NUMBER} is there, and no higher number fits into a link")
    return max(keys) + 1


def read_key_file(path: Path) -> dict[int, Key] | None:
    """The keys of the file; None when there is no such file."""
    try:
        found = parse_keys(path.read_text("ascii"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, BadKeyring) as error:
        raise BadKeyring(f"cannot read the signing keys in {path}: {error}") from error
    if not found:
        raise BadKeyring(f"{path} holds no signing key: put back the file that did")
    return found


def make_key_file(path: Path, keys: Mapping[int, Key]) -> None:
    """Make the file, for its owner's eyes only, and on stable storage when this returns.

    It is linked into place, so that a file that is there stays. Raises ``FileExistsError``.
    """
    with _written_aside(path, keys) as draft:
        os.link(draft, path)


def add_key(path: Path, *, signs_from: int) -> int:
    """Add a key that signs from then on, and give its number; on stable storage when this returns.

    Whoever reads the file meanwhile reads it as it was or as it is. One process at a time may do this.
    Raises ``BadKeyring``.
    """
    path = path.resolve()  # a link to the file stays one
    keys = read_key_file(path)
    if keys is None:
        raise BadKeyring(f"the signing keys in {path} are missing: put the file back")
    number = next_key_number(keys)
    with _written_aside(path, {**keys, number: Key(new_secret(), signs_from)}) as draft:
        draft.replace(path)
    return number


@contextmanager
def _written_aside(path: Path, keys: Mapping[int, Key]) -> Iterator[Path]:
    """A file beside ``path``, to be moved there whole: a crash never leaves half a key."""
    draft = path.with_name(f"{path.name}.{token_hex(8)}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            if path.exists():
                give_to_owner_of(path, handle)
            file.write(written_keys(keys))
            file.flush()
            os.fsync(handle)
        yield draft
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
