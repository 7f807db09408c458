"""The file that holds the signing keys, for installations that set none in the environment."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from ..domain.keys import BadKeyring


def parse_keys(text: str) -> dict[int, bytes]:
    """Secrets by number, from ``1:<base64url of 32 bytes>,2:...`` (commas or line ends between).

    Raises ``BadKeyring``, whose message never shows a secret.
    """
    found: dict[int, bytes] = {}
    for item in text.replace("\n", ",").split(","):
        if not item.strip():
            continue
        number, colon, secret = item.strip().partition(":")
        if not (colon and re.fullmatch(r"[0-9]{1,3}", number)):
            raise BadKeyring("signing keys are written as 1:<base64url of 32 bytes>, with commas between them")
        if int(number) in found:
            raise BadKeyring(f"signing key {number} is there twice")
        found[int(number)] = _secret(number, secret)
    return found


def _secret(number: str, text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadKeyring(f"signing key {number} is not base64url") from None


def written_keys(secrets: Mapping[int, bytes]) -> str:
    """The form that :func:`parse_keys` reads, a line a key."""
    lines = [f"{number}:{base64.urlsafe_b64encode(secret).decode().rstrip('=')}" for number, secret in secrets.items()]
    return "\n".join(lines) + "\n"


def read_key_file(path: Path) -> dict[int, bytes] | None:
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


def make_key_file(path: Path, secrets: Mapping[int, bytes]) -> None:
    """Make the file, for its owner's eyes only, and on stable storage when this returns.

    It is written aside and linked into place, so that a crash never leaves half a key. Raises ``FileExistsError``.
    """
    draft = path.with_name(f"{path.name}.{token_hex(8)}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(written_keys(secrets))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
