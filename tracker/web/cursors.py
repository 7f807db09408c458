"""Cursors: where a list goes on, signed, and good only for the account and the question they were given for."""

import hashlib

from ..domain.keys import Keyring, Purpose
from ..domain.links import BadToken, read, sign
from .problems import Problem

_ID_BYTES = 16
_DIGEST_BYTES = 8
_LONGEST = 67


class Cursors:
    """Writes and reads cursors."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def write(self, account: bytes, question: bytes, last: bytes) -> str:
        """The cursor for what lies beyond the row of id ``last`` in the answers to ``question``."""
        return sign(self._keyring, Purpose.CURSOR, account, last + _digest(question))

    def read(self, account: bytes, question: bytes, cursor: str) -> bytes:
        """The id of the last row seen. Raises ``Problem`` 400 for any cursor but one of ours for this question."""
        try:
            payload = read(self._keyring, Purpose.CURSOR, cursor, _LONGEST)
        except BadToken:
            raise _no_cursor() from None
        owner, last, digest = payload[1:9], payload[9 : 9 + _ID_BYTES], payload[9 + _ID_BYTES :]
        if owner != account:
            raise _no_cursor()
        if digest != _digest(question):
            raise Problem("bad-cursor", "This cursor belongs to another question: keep the filters as they were.")
        return last


def _no_cursor() -> Problem:
    return Problem("bad-cursor", "Give back next_cursor as it was.")


def _digest(question: bytes) -> bytes:
    return hashlib.blake2b(question, digest_size=_DIGEST_BYTES).digest()
