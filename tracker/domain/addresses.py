"""E-mail addresses: read, compared and turned into keys; ``docs/addresses.md`` tells customers the same rules."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Final

import idna
from email_validator import EmailNotValidError, validate_email

LONGEST_ADDRESS: Final = 254
"""Bytes of an address, the @ included (RFC 5321 4.5.3.1.3, erratum 1690 of RFC 3696)."""

LONGEST_LOCAL_PART: Final = 64
"""Bytes before the @ (RFC 5321 4.5.3.1.1)."""

_KEY_BYTES = 16

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_BEYOND_ASCII = "\x80-\U0010ffff"

# Labels that begin as "xn--" and its unassigned kin do are left to IDNA.
_LABEL = r"(?!..--)[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_TOP_LEVEL = r"(?!..--)(?:[A-Za-z0-9][A-Za-z0-9\-]{0,61})?[A-Za-z]"

_PLAIN = re.compile(rf"(?=[^@]{{1,64}}@)[{_ATEXT}]+(?:\.[{_ATEXT}]+)*@(?:{_LABEL}\.)+{_TOP_LEVEL}")
_NEEDS_NO_QUOTES = re.compile(rf"[{_ATEXT}{_BEYOND_ASCII}]+(?:\.[{_ATEXT}{_BEYOND_ASCII}]+)*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_TOP_LEVEL_SHOWN = re.compile(r"[^\W_](?:[^\W_]|-){0,62}")


class InvalidAddress(ValueError):
    """This is not one e-mail address; the message tells a person why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address in three representations.

    ``raw`` is as written, for sending and showing. ``identity`` tells people apart: the exact local part without
    needless quotes, and the domain as A-labels. ``canonical`` tells opt-outs: the same with the local part in lower
    case and in Normalization Form C, so that one "no" counts for every spelling of it.
    """

    raw: str
    identity: str
    canonical: str


def read_address(raw: str) -> Address:
    """Raises :class:`InvalidAddress`."""
    if not _is_plain(raw):
        return _read_carefully(raw)
    local, _, domain = raw.partition("@")
    return Address(raw=raw, identity=f"{local}@{domain.lower()}", canonical=raw.lower())


def canonical(raw: str) -> str:
    """The form in which an address is suppressed and hashed. Raises :class:`InvalidAddress`."""
    return raw.lower() if _is_plain(raw) else _read_carefully(raw).canonical


def address_key(canonical: str, pepper: bytes) -> bytes:
    """The 16 bytes an account knows this address by; ``pepper`` is the account's own secret of 32 bytes."""
    return hashed_address_key(sha256(canonical.encode()).digest(), pepper)


def hashed_address_key(digest: bytes, pepper: bytes) -> bytes:
    """The same key for an address of which only the SHA-256 of its canonical form is known (32 bytes)."""
    if len(digest) != sha256().digest_size:
        raise ValueError("not a SHA-256 hash: it has 32 bytes, or 64 hexadecimal digits")
    return blake2b(digest, key=pepper, digest_size=_KEY_BYTES).digest()


def address_keys(raws: Iterable[str], pepper: bytes) -> list[bytes | None]:
    """The key of each address in the order given, None for what is no address."""
    keyed = blake2b(key=pepper, digest_size=_KEY_BYTES)
    keys: list[bytes | None] = []
    for raw in raws:
        try:
            digest = sha256(canonical(raw).encode()).digest()
        except InvalidAddress:
            keys.append(None)
            continue
        key = keyed.copy()
        key.update(digest)
        keys.append(key.digest())
    return keys


def mask(address: str) -> str:
    """The address as a public page may show it: ``b•••@e•••.com``. Anything else is ``•••``."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "•••"
    _, dot, top_level = domain.rpartition(".")
    shown = f".{top_level}" if dot and _TOP_LEVEL_SHOWN.fullmatch(top_level) else ""
    return f"{_first(local)}•••@{_first(domain)}•••{shown}"


def _first(text: str) -> str:
    return text[:1] if text[:1].isprintable() else ""


def _is_plain(raw: str) -> bool:
    return len(raw) <= LONGEST_ADDRESS and _PLAIN.fullmatch(raw) is not None


def _read_carefully(raw: str) -> Address:
    _refuse_what_nobody_sees(raw)
    if raw.endswith(">"):
        raise InvalidAddress("Write the address alone: without a name, without < and >.")
    local, at, written_domain = raw.rpartition("@")
    if not at:
        raise InvalidAddress("An address has an @ in it.")
    mailbox = _mailbox(local)
    domain = _domain(written_domain)
    identity = f"{_with_quotes_needed(mailbox)}@{domain}"
    _refuse_too_long(identity)
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", mailbox).lower())
    return Address(raw=raw, identity=identity, canonical=f"{_with_quotes_needed(folded)}@{domain}")


def _refuse_what_nobody_sees(raw: str) -> None:
    """Raises for control characters, NUL, zero width, half a surrogate pair, any space but the plain one."""
    if len(raw) > LONGEST_ADDRESS:
        raise InvalidAddress(f"The address is longer than {LONGEST_ADDRESS} bytes.")
    if not raw.isprintable():
        unseen = next(character for character in raw if not character.isprintable())
        raise InvalidAddress(f"The address holds a character that cannot be seen: U+{ord(unseen):04X}.")
    if len(raw.encode()) > LONGEST_ADDRESS:
        raise InvalidAddress(f"The address is longer than {LONGEST_ADDRESS} bytes.")


def _refuse_too_long(identity: str) -> None:
    if len(identity.encode()) > LONGEST_ADDRESS:
        raise InvalidAddress(f"The address is longer than {LONGEST_ADDRESS} bytes with its domain as xn--....")
    if len(identity.rpartition("@")[0].encode()) > LONGEST_LOCAL_PART:
        raise InvalidAddress(f"The part before the @ is longer than {LONGEST_LOCAL_PART} bytes.")


def _mailbox(local: str) -> str:
    """What the local part says: without the quotes and backslashes that only protect it (RFC 5321 4.1.2)."""
    quoted = _QUOTED.fullmatch(local)
    if quoted is None and "@" in local:
        raise InvalidAddress("There is more than one @: write one address.")
    try:
        # Only the local part is asked about: whether mail to "corp.local" arrives is the mailer's to know.
        validate_email(f"{local}@example.com", allow_quoted_local=True, check_deliverability=False)
    except EmailNotValidError as refusal:
        raise InvalidAddress(str(refusal)) from None
    return local if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1])


def _with_quotes_needed(mailbox: str) -> str:
    # A Greek question mark is a semicolon to whoever normalizes it.
    if _NEEDS_NO_QUOTES.fullmatch(unicodedata.normalize("NFC", mailbox)):
        return mailbox
    escaped = re.sub(r'(["\\])', r"\\\1", mailbox)
    return f'"{escaped}"'


@lru_cache(maxsize=4_096)
def _domain(written: str) -> str:
    """The domain as DNS knows it: A-labels in lower case (UTS 46, non-transitional), without a last dot."""
    try:
        domain = idna.encode(written, uts46=True).decode("ascii").removesuffix(".")
    except UnicodeError:
        raise InvalidAddress("The part after the @ is not a domain name.") from None
    if "." not in domain:
        raise InvalidAddress("The part after the @ has no dot: it looks like example.com.")
    if not domain[-1].isalpha():
        raise InvalidAddress("The part after the @ does not end as domains of the Internet do.")
    return domain
