"""Identifiers: how they are made, written for people, and read back."""

import os
import secrets
import uuid
from collections.abc import Sequence
from typing import Annotated

import uuid_utils
from msgspec import Meta

Id = Annotated[
    str,
    Meta(
        description="An id of ours.",
        extra_json_schema={"format": "uuid"},
        examples=["01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"],
    ),
]
"""An id as it is written for people; not checked by its type."""


_ENTROPY = 10
"""Random bytes of an event's id."""


class BadId(ValueError):
    """Not an identifier of this kind."""


def new_account_id() -> bytes:
    """8 random bytes: short, since every token carries it."""
    return secrets.token_bytes(8)


def new_id() -> bytes:
    """16 bytes that sort by the time they were made (UUID version 7, RFC 9562)."""
    return uuid_utils.uuid7().bytes


def event_id(occurred_at: int, entropy: bytes | None = None) -> bytes:
    """An event's id: a UUID version 7 of ``occurred_at`` (Unix milliseconds), so ids sort as events happened.

    ``entropy`` is 10 random bytes, drawn here when not given.
    """
    drawn = bytearray(entropy or os.urandom(_ENTROPY))
    drawn[0] = 0x70 | drawn[0] & 0x0F  # version 7
    drawn[2] = 0x80 | drawn[2] & 0x3F  # the variant of RFC 9562
    return occurred_at.to_bytes(6, "big") + drawn


def event_ids(times: Sequence[int]) -> list[bytes]:
    """An id for each of these times, as :func:`event_id` makes them; asking the system once is what makes it quick."""
    drawn = os.urandom(_ENTROPY * len(times))
    return [event_id(at, drawn[_ENTROPY * n : _ENTROPY * (n + 1)]) for n, at in enumerate(times)]


def first_id_at(occurred_at: int) -> bytes:
    """The bytes no event id of that millisecond or later sorts below."""
    return max(0, min(occurred_at, (1 << 48) - 1)).to_bytes(6, "big") + bytes(10)


def time_in(identifier: bytes) -> int:
    """The time a UUID version 7 begins with, in Unix milliseconds."""
    return int.from_bytes(identifier[:6], "big")


def written(identifier: bytes) -> str:
    """As people see it: a UUID for 16 bytes, plain hexadecimal digits for any other length."""
    digits = identifier.hex()
    if len(digits) != 32:
        return digits
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_id(text: str) -> bytes:
    """The 16 bytes of a UUID in the form :func:`written` gives. Raises :class:`BadId`."""
    try:
        identifier = uuid.UUID(text).bytes
    except ValueError:
        raise BadId("not an id: ids look like 01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1") from None
    if written(identifier) != text.lower():
        raise BadId("not an id: write it with its hyphens, as it was given")
    return identifier


def parse_account_id(text: str) -> bytes:
    """The 8 bytes of an account's id. Raises :class:`BadId`."""
    try:
        identifier = bytes.fromhex(text)
    except ValueError:
        identifier = b""
    if len(identifier) != 8 or len(text) != 16:
        raise BadId("not an account's id: it has 16 hexadecimal digits")
    return identifier
