"""Receipts: that a call with an Idempotency-Key was carried out, so that it is carried out once."""

import re
from collections.abc import Sequence

import msgspec

KEPT_FOR_MS = 24 * 60 * 60 * 1000
LONGEST_KEY = 255

# A String of RFC 8941, section 3.3.3: printable ASCII, with a backslash before each quote and backslash.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
_BARE = re.compile(r"[!#-~][!-~]*", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')


class BadIdempotencyKey(ValueError):
    """Not an idempotency key; the message says what is one."""


class Receipt(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is kept of a call, in the transaction of its effect.

    ``key`` and ``fingerprint`` are digests of the key and of the whole request: neither may hold what somebody wrote.
    ``made`` is what the answer can be made from again, together with the same request; it names rows by their ids and
    holds no address, so that erasing a person need not look here. ``created_at`` is Unix milliseconds.
    """

    account: bytes
    route: str
    key: bytes
    fingerprint: bytes
    made: bytes
    created_at: int


def read_idempotency_key(fields: Sequence[str]) -> str:
    """The key in the fields of that name, of which there may be one.

    A Structured Field String (draft-ietf-httpapi-idempotency-key-header, section 2.1); the same characters without
    quotes are the same key, as many clients send it. Raises :class:`BadIdempotencyKey`.
    """
    if len(fields) != 1:
        raise BadIdempotencyKey("Send one Idempotency-Key.")
    key = _unquoted(fields[0].strip(" \t"))
    if not 1 <= len(key) <= LONGEST_KEY:
        raise BadIdempotencyKey(f"An Idempotency-Key has 1 to {LONGEST_KEY} characters.")
    return key


def _unquoted(field: str) -> str:
    if match := _STRING.fullmatch(field):
        return _ESCAPED.sub(r"\1", match[1])
    if field and not _BARE.fullmatch(field):
        raise BadIdempotencyKey('Write the Idempotency-Key as "..." in ASCII, with \\ before " and \\ inside it.')
    return field
