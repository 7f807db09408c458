"""The secrets that sign: numbered, rotated by adding one, and never used for two purposes or two accounts."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from enum import StrEnum

from itsdangerous import Signer
from itsdangerous.signer import SigningAlgorithm

SECRET_BYTES = 32
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


class _HalfOfSha256(SigningAlgorithm):
    """HMAC-SHA256 cut to its first 16 bytes."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha256")[:SIGNATURE_BYTES]


class Keyring:
    """Secrets by number (1 to 255). All of them read; the highest signs."""

    def __init__(self, secrets_by_number: Mapping[int, bytes]) -> None:
        """Raises :class:`BadKeyring` for no key, a number outside 1 to 255, or a secret that is not 32 bytes."""
        if not secrets_by_number:
            raise BadKeyring("there is no signing key: one is needed to make and to read links")
        for number, secret in secrets_by_number.items():
            if not 1 <= number <= 255:
                raise BadKeyring(f"signing key {number}: its number must be from 1 to 255")
            if len(secret) != SECRET_BYTES:
                raise BadKeyring(f"signing key {number} has {len(secret)} bytes: it must have {SECRET_BYTES}")
        self._secrets = dict(secrets_by_number)
        self._signers: dict[tuple[int, Purpose, bytes], Signer] = {}
        self.newest = max(self._secrets)

    def signer(self, number: int, purpose: Purpose, account: bytes) -> Signer:
        """The signer of one key, purpose and account. Raises :class:`UnknownKey`.

        Its key is HMAC-SHA256 of "purpose|account" under the secret of that number.
        """
        known = self._signers.get((number, purpose, account))
        if known is not None:
            return known
        secret = self._secrets.get(number)
        if secret is None:
            raise UnknownKey(number)
        derived = hmac.digest(secret, b"|".join((purpose.encode(), account)), "sha256")
        return Signer(derived, key_derivation="none", algorithm=_HalfOfSha256())

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


def new_secret() -> bytes:
    """A secret for a new key: 32 random bytes."""
    return secrets.token_bytes(SECRET_BYTES)
