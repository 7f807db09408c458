"""Signed links: what a token says, and the proof that we, or the account's own key, said it.

A token is ``base64url(payload) "." base64url(signature)``, without padding. ``docs/tokens.md`` describes it
byte for byte, with test vectors.
"""

import hmac
from dataclasses import dataclass, field
from typing import Final

import msgspec
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from .destinations import leads_on
from .keys import Keyring, Purpose, UnknownKey, signer_with

ACCOUNT_BYTES = 8
MESSAGE_BYTES = 16
ADDRESS_KEY_BYTES = 16
LAST_LINK_NUMBER = 65_535

_HEAD = 1 + ACCOUNT_BYTES
_MESSAGE = slice(_HEAD, _HEAD + MESSAGE_BYTES)
_AFTER_MESSAGE = _HEAD + MESSAGE_BYTES
_DESTINATION = _AFTER_MESSAGE + 2

LONGEST: Final = {Purpose.OPEN: 57, Purpose.CLICK: 2_790, Purpose.UNSUBSCRIBE: 78, Purpose.PREFERENCES: 78}
"""Characters of a token by purpose: anything longer is refused before it is decoded."""


class BadToken(ValueError):
    """Not a token of ours, or not one for this purpose."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """What a token says. ``number`` and ``destination`` are a click's, ``address_key`` an opt-out's."""

    account: bytes
    message: bytes
    number: int | None = None
    destination: str | None = None
    address_key: bytes | None = None


class Links:
    """Signs and reads the tokens in mails."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def sign_open(self, account: bytes, message: bytes) -> str:
        """The token of a pixel: 57 characters."""
        return sign(self._keyring, Purpose.OPEN, account, message)

    def sign_click(self, account: bytes, message: bytes, number: int, destination: str) -> str:
        """The token of a link. ``destination`` is a serialised URL; ``number`` is from 0 to 65,535."""
        return sign(self._keyring, Purpose.CLICK, account, _click_body(message, number, destination))

    def click_key(self, account: bytes) -> "ClickKey":
        """What this account signs clicks with by itself: of the key that signs now, so that every process reads it."""
        number = self._keyring.signing
        return ClickKey(number=number, account=account, key=self._keyring.derived(number, Purpose.CLICK, account))

    def sign_unsubscribe(self, account: bytes, message: bytes, address_key: bytes) -> str:
        """The token that opts an address out: 78 characters, enough without any stored row."""
        return sign(self._keyring, Purpose.UNSUBSCRIBE, account, message + address_key)

    def sign_preferences(self, account: bytes, message: bytes, address_key: bytes) -> str:
        """The token of a preference page: 78 characters."""
        return sign(self._keyring, Purpose.PREFERENCES, account, message + address_key)

    def read_open(self, token: str) -> Link:
        """Raises :class:`BadToken`."""
        payload = read(self._keyring, Purpose.OPEN, token, LONGEST[Purpose.OPEN])
        if len(payload) != _AFTER_MESSAGE:
            raise BadToken("wrong length")
        return Link(payload[1:_HEAD], payload[_MESSAGE])

    def read_click(self, token: str) -> Link:
        """Raises :class:`BadToken`, also when the destination is none that may be followed."""
        payload = read(self._keyring, Purpose.CLICK, token, LONGEST[Purpose.CLICK])
        destination = payload[_DESTINATION:].decode("latin-1")
        if not leads_on(destination):
            raise BadToken("not a destination")
        number = int.from_bytes(payload[_AFTER_MESSAGE:_DESTINATION], "big")
        return Link(payload[1:_HEAD], payload[_MESSAGE], number, destination)

    def read_unsubscribe(self, token: str) -> Link:
        """Raises :class:`BadToken`."""
        return self._read_keyed(Purpose.UNSUBSCRIBE, token)

    def read_preferences(self, token: str) -> Link:
        """Raises :class:`BadToken`."""
        return self._read_keyed(Purpose.PREFERENCES, token)

    def _read_keyed(self, purpose: Purpose, token: str) -> Link:
        payload = read(self._keyring, purpose, token, LONGEST[purpose])
        if len(payload) != _AFTER_MESSAGE + ADDRESS_KEY_BYTES:
            raise BadToken("wrong length")
        return Link(payload[1:_HEAD], payload[_MESSAGE], address_key=payload[_AFTER_MESSAGE:])


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickKey:
    """A key that signs the clicks of one account and nothing else: its mailer makes links without asking."""

    number: int
    account: bytes
    key: bytes = field(repr=False)

    def sign_click(self, message: bytes, number: int, destination: str) -> str:
        """The same token as of :meth:`Links.sign_click`."""
        return _signed(signer_with(self.key), self.number, self.account, _click_body(message, number, destination))


def sign(keyring: Keyring, purpose: Purpose, account: bytes, body: bytes) -> str:
    """A token of the key that signs: its number, the account and ``body``, signed for this purpose."""
    number = keyring.signing
    signer = keyring.signer(number, purpose, account)
    keyring.remember(number, purpose, account, signer)
    return _signed(signer, number, account, body)


def _signed(signer: Signer, number: int, account: bytes, body: bytes) -> str:
    value = base64_encode(bytes((number,)) + account + body)
    return (value + b"." + signer.get_signature(value)).decode("ascii")


def _click_body(message: bytes, number: int, destination: str) -> bytes:
    return message + number.to_bytes(2, "big") + destination.encode("ascii")


def read(keyring: Keyring, purpose: Purpose, token: str, longest: int) -> bytes:
    """The signed payload: key number (1 byte), account (8), body. Raises :class:`BadToken`.

    Only the one spelling that :func:`sign` gives is accepted: base64 has several for the same bytes, and who holds a
    signing key could sign any of them.
    """
    if len(token) > longest:
        raise BadToken("too long")
    try:
        value, _, signature = token.encode("ascii").rpartition(b".")
        payload = base64_decode(value)
        number, account = payload[0], payload[1:_HEAD]
        signer = keyring.signer(number, purpose, account)
    except (UnicodeEncodeError, BadData, IndexError, UnknownKey):
        raise BadToken("not a token") from None
    if not hmac.compare_digest(signer.get_signature(value), signature) or base64_encode(payload) != value:
        raise BadToken("wrong signature")
    keyring.remember(number, purpose, account, signer)
    return payload
