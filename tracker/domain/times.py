"""Times as they are written in answers and read from questions: RFC 3339, UTC, milliseconds."""

import re
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

Time = Annotated[
    str,
    Meta(
        description="An RFC 3339 time, in UTC with three digits when we write it.",
        extra_json_schema={"format": "date-time"},
        examples=["2026-11-22T10:00:00.000Z"],
    ),
]
"""A time as it is written; not checked by its type."""

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:)((?:[0-5]\d|60)(?:\.\d+)?)(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)


class BadTime(ValueError):
    """Not a time as RFC 3339 writes it."""


def written_time(milliseconds: int) -> str:
    """Unix milliseconds as ``2026-11-22T10:00:00.000Z``: text order is time order."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment.replace(tzinfo=None).isoformat()}.{milliseconds % 1000:03}Z"


def parse_time(text: str) -> int:
    """Unix milliseconds of an RFC 3339 time with its offset, cut to the millisecond. Raises :class:`BadTime`.

    One that lies beyond the years 1 to 9999 in UTC is none, since nobody could write it back. A leap second counts as
    the last millisecond before it, since Unix time has no room for it.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadTime("not a time: write it like 2026-11-22T10:00:00Z, with its offset")
    to_the_minute, seconds, offset = match.groups()
    if seconds.startswith("60"):
        seconds = "59.999"
    try:
        moment = datetime.fromisoformat(f"{to_the_minute}{seconds}{offset}".upper()).astimezone(UTC)
        whole_seconds = int(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError):
        raise BadTime("not a time: there is no such day") from None
    return whole_seconds * 1000 + moment.microsecond // 1000
