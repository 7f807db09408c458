"""Signing keys: which are taken, and what is told of them."""

import hashlib
import hmac

import pytest
from itsdangerous.encoding import base64_encode

from tracker.domain.keys import BadKeyring, Keyring, Purpose, UnknownKey, new_secret

ACCOUNT = bytes(range(8))
SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({}, "there is no signing key"),
        ({0: SECRET}, "signing key 0: its number must be from 1 to 255"),
        ({256: SECRET}, "signing key 256: its number must be from 1 to 255"),
        ({1: SECRET, 2: SECRET[:-1]}, "signing key 2 has 31 bytes: it must have 32"),
        ({1: SECRET + b"a"}, "signing key 1 has 33 bytes: it must have 32"),
    ],
)
def test_keys_that_could_not_sign_are_refused(secrets: dict[int, bytes], said: str) -> None:
    """The message says which key is wrong, and never shows it."""
    with pytest.raises(BadKeyring, match=said) as refused:
        Keyring(secrets)
    assert not any(secret.hex() in str(refused.value) for secret in secrets.values())


def test_highest_number_signs() -> None:
    """In whatever order they are given; the lowest and the highest number are good ones."""
    assert Keyring({255: SECRET, 1: SECRET}).signing == 255
    assert Keyring({1: SECRET}).signing == 1


def test_another_may_sign() -> None:
    """One that is in the ring; the others go on reading."""
    ring = Keyring({1: SECRET, 2: SECRET[::-1]}, 1)
    assert ring.signing == 1
    assert ring.signer(2, Purpose.OPEN, ACCOUNT).get_signature(b"value")
    with pytest.raises(BadKeyring, match="key 3 is to sign"):
        Keyring({1: SECRET}, 3)


def test_ring_takes_what_a_newer_one_adds() -> None:
    """The new key reads, and signs if it does there; signers remembered before stay right."""
    ring = Keyring({1: SECRET})
    old = ring.signer(1, Purpose.OPEN, ACCOUNT)
    ring.remember(1, Purpose.OPEN, ACCOUNT, old)
    ring.take(Keyring({1: SECRET, 2: SECRET[::-1]}, 1))
    assert ring.signing == 1
    newer = Keyring({1: SECRET, 2: SECRET[::-1]})
    ring.take(newer)
    assert ring.signing == 2
    for number in (1, 2):
        signature = newer.signer(number, Purpose.OPEN, ACCOUNT).get_signature(b"value")
        assert ring.signer(number, Purpose.OPEN, ACCOUNT).get_signature(b"value") == signature


@pytest.mark.parametrize("newer", [{2: SECRET, 3: SECRET}, {1: SECRET, 2: SECRET}, {1: SECRET[::-1], 3: SECRET}])
def test_ring_loses_no_key(newer: dict[int, bytes]) -> None:
    """One that is lost or another would break the links it signed: all stays as it was."""
    ring = Keyring({1: SECRET, 2: SECRET[::-1]})
    with pytest.raises(BadKeyring, match=r"signing key [12] is lost or another"):
        ring.take(Keyring(newer))
    assert ring.fingerprints() == Keyring({1: SECRET, 2: SECRET[::-1]}).fingerprints()
    assert ring.signing == 2


def test_ring_does_not_follow_its_source() -> None:
    """What was given is copied: nobody can add a key later."""
    given = {1: SECRET}
    ring = Keyring(given)
    given[2] = SECRET
    with pytest.raises(UnknownKey):
        ring.signer(2, Purpose.OPEN, ACCOUNT)


def test_signature_is_half_an_hmac_of_the_derived_key() -> None:
    """B-1: HMAC-SHA256 under a key of its own for each secret, purpose and account."""
    derived = hmac.digest(SECRET, b"open|" + ACCOUNT, "sha256")
    expected = base64_encode(hmac.digest(derived, b"value", "sha256")[:16])
    assert Keyring({1: SECRET}).signer(1, Purpose.OPEN, ACCOUNT).get_signature(b"value") == expected


def test_no_two_signers_are_alike() -> None:
    """Secret, purpose and account: each changes the signature."""
    ring = Keyring({1: SECRET, 2: SECRET[::-1]})
    signatures = {
        ring.signer(number, purpose, account).get_signature(b"value")
        for number in (1, 2)
        for purpose in Purpose
        for account in (ACCOUNT, bytes(8))
    }
    assert len(signatures) == 2 * len(Purpose) * 2


def test_purposes_cannot_be_confused() -> None:
    """None is the beginning of another, and none holds the mark that ends it."""
    for purpose in Purpose:
        assert "|" not in purpose
        assert not any(other.startswith(purpose) for other in Purpose if other is not purpose)


def test_fingerprints_tell_secrets_apart_and_nothing_of_them() -> None:
    """The same secret has the same fingerprint whatever its number, and no other has it."""
    one, two = bytes(32), SECRET
    fingerprints = Keyring({1: one, 2: two, 3: one}).fingerprints()
    assert fingerprints[1] == fingerprints[3] != fingerprints[2]
    assert {len(fingerprint) for fingerprint in fingerprints.values()} == {16}
    plain = {hashlib.blake2b(two, digest_size=16).digest(), hashlib.sha256(two).digest()[:16], two[:16], two[16:]}
    assert fingerprints[2] not in plain


def test_remembered_signer_is_given_again() -> None:
    """To derive a key takes longer than to sign with it."""
    ring = Keyring({1: SECRET})
    signer = ring.signer(1, Purpose.OPEN, ACCOUNT)
    assert ring.signer(1, Purpose.OPEN, ACCOUNT) is not signer
    ring.remember(1, Purpose.OPEN, ACCOUNT, signer)
    assert ring.signer(1, Purpose.OPEN, ACCOUNT) is signer


def test_remembered_signers_are_bounded() -> None:
    """However many accounts there are, memory does not grow with them for ever."""
    ring = Keyring({1: SECRET})
    for number in range(40_000):
        account = number.to_bytes(8, "big")
        ring.remember(1, Purpose.OPEN, account, ring.signer(1, Purpose.OPEN, ACCOUNT))
    assert 0 < len(ring._signers) <= 16_384


def test_new_secrets_differ() -> None:
    """32 random bytes each."""
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {32}
