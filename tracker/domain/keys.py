"""The secrets that sign: numbered, rotated by adding one, and never used for two purposes or two accounts."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from itsdangerous import Signer
from itsdangerous.signer import SigningAlgorithm

SECRET_BYTES = 32
LAST_KEY_NUMBER = 255
SIGNATURE_BYTES = 16
_CACHED_SIGNERS = 16_384


class Purpose(StrEnum):
    """What a signature is for: no purpose accepts the signature of another."""

    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    PREFERENCES = "preferences"
    CURSOR = "cursor"


class BadKeyring(ValueError):
    """The signing keys cannot be used; the message says which and why."""


class UnknownKey(KeyError):
    """No key of this number is in the ring."""


class Key(NamedTuple):
    """A secret, and the time from which it may sign (Unix milliseconds): others have to read it before."""

    secret: bytes
    signs_from: int = 0


def due_key(keys: Mapping[int, Key], now: int) -> int:
    """The number of the key that signs at this time: the highest whose time has come. There is at least one key."""
    return max([number for number, key in keys.items() if key.signs_from <= now] or keys)


class _HalfOfSha256(SigningAlgorithm):
    """HMAC-SHA256 cut to its first 16 bytes."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha256")[:SIGNATURE_BYTES]


class Keyring:
    """Secrets by number (1 to 255). All of them read; one signs: ``signing``, the highest unless another is given."""

    def __init__(self, secrets_by_number: Mapping[int, bytes], signing: int | None = None) -> None:
        """Raises :class:`BadKeyring` for no key, a number outside 1 to 255, a secret that is not 32 bytes, or a
        signing key that is not among them."""
        if not secrets_by_number:
            raise BadKeyring("there is no signing key: one is needed to make and to read links")
        for number, secret in secrets_by_number.items():
            if not 1 <= number <= LAST_KEY_NUMBER:
                raise BadKeyring(f"signing key {number}: its number must be from 1 to 255")
            if len(secret) != SECRET_BYTES:
                raise BadKeyring(f"signing key {number} has {len(secret)} bytes: it must have {SECRET_BYTES}")
        self.signing = max(secrets_by_number) if signing is None else signing
        if self.signing not in secrets_by_number:
            known = ", ".join(map(str, sorted(secrets_by_number)))
            raise BadKeyring(f"key {self.signing} is to sign and is not among the signing keys, which are {known}")
        self._secrets = dict(secrets_by_number)
        self._signers: dict[tuple[int, Purpose, bytes], Signer] = {}

    def take(self, newer: "Keyring") -> None:
        """Become as ``newer``, which holds every key of this ring. Raises :class:`BadKeyring` and stays as it was.

        Nobody who reads or signs meanwhile has to wait: a key is there before it signs, and what a number stands for
        never changes, so that remembered signers stay right.
        """
        for number, secret in self._secrets.items():
            if newer._secrets.get(number) != secret:  # noqa: SLF001 - another of its kind
                raise BadKeyring(f"signing key {number} is lost or another: links in mails already sent need it")
        self._secrets = newer._secrets  # noqa: SLF001 - another of its kind
        self.signing = newer.signing

    def signer(self, number: int, purpose: Purpose, account: bytes) -> Signer:
        """The signer of one key, purpose and account. Raises :class:`UnknownKey`."""
        known = self._signers.get((number, purpose, account))
        return known if known is not None else signer_with(self.derived(number, purpose, account))

    def derived(self, number: int, purpose: Purpose, account: bytes) -> bytes:
        """What signs for one purpose and account: HMAC-SHA256 of "purpose|account" under the secret of that number.

        Nothing about the secret, or what is derived for others, follows from it. Raises :class:`UnknownKey`.
        """
        secret = self._secrets.get(number)
        if secret is None:
            raise UnknownKey(number)
        return hmac.digest(secret, b"|".join((purpose.encode(), account)), "sha256")

    def remember(self, number: int, purpose: Purpose, account: bytes, signer: Signer) -> None:
        """Keep a signer that proved right, so that strangers' tokens never push out those of our accounts."""
        which = (number, purpose, account)
        if which not in self._signers:
            if len(self._signers) >= _CACHED_SIGNERS:
                self._signers.clear()
            self._signers[which] = signer

    def fingerprints(self) -> dict[int, bytes]:
        """By number, what tells whether two secrets are the same and nothing about them (16 bytes)."""
        return {
            number: hashlib.blake2b(secret, digest_size=16, person=b"key fingerprint").digest()
            for number, secret in self._secrets.items()
        }


def signer_with(derived: bytes) -> Signer:
    """The signer of a key that :meth:`Keyring.derived` gave."""
    return Signer(derived, key_derivation="none", algorithm=_HalfOfSha256())


def new_secret() -> bytes:
    """A secret for a new key: 32 random bytes."""
    return secrets.token_bytes(SECRET_BYTES)
