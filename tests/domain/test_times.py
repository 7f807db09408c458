"""Times are written in one form, and read in every form that RFC 3339 has."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.times import BadTime, parse_time, written_time

FIRST = -62_135_596_800_000
LAST = 253_402_300_799_999

moments = st.integers(FIRST, LAST)


def unix(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_795_341_600_007, "2026-11-22T10:00:00.007Z"),
        (2_147_483_648_000, "2038-01-19T03:14:08.000Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (FIRST, "0001-01-01T00:00:00.000Z"),
        (LAST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_time_is_written_in_utc_with_three_digits(milliseconds: int, text: str) -> None:
    """A11.1: capital T and Z."""
    assert written_time(milliseconds) == text


@given(moments)
def test_written_time_is_read_back(milliseconds: int) -> None:
    """To the millisecond."""
    assert parse_time(written_time(milliseconds)) == milliseconds


@given(moments, moments)
def test_order_of_texts_is_the_order_of_times(one: int, other: int) -> None:
    """So that whoever stores them as text can sort them."""
    assert (written_time(one) < written_time(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-11-22T10:00:00Z", unix(2026, 11, 22, 10)),
        ("2026-11-22t10:00:00z", unix(2026, 11, 22, 10)),
        ("2026-11-22T10:00:00+00:00", unix(2026, 11, 22, 10)),
        ("2026-11-22T10:00:00-00:00", unix(2026, 11, 22, 10)),
        ("2026-11-22T10:00:00+05:45", unix(2026, 11, 22, 4, 15)),
        ("2026-11-22T10:00:00-23:59", unix(2026, 11, 23, 9, 59)),
        ("2026-11-22T10:00:00.5Z", unix(2026, 11, 22, 10) + 500),
        ("2026-11-22T10:00:00.04Z", unix(2026, 11, 22, 10) + 40),
        ("2026-11-22T10:00:00.0009Z", unix(2026, 11, 22, 10)),
        ("2026-11-22T10:00:00.123456789+01:00", unix(2026, 11, 22, 9) + 123),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2024-02-29T00:00:00Z", unix(2024, 2, 29)),
        ("2016-12-31T23:59:60Z", unix(2017, 1, 1) - 1),
        ("1990-12-31T15:59:60.75-08:00", unix(1991, 1, 1) - 1),
        ("9999-12-31T23:59:59.999Z", LAST),
        ("0001-01-01T00:00:00Z", FIRST),
        ("0001-01-01T23:59:00+23:59", FIRST),
        ("9999-12-31T00:00:59.999-23:59", LAST),
    ],
)
def test_forms_of_rfc_3339_are_read(text: str, milliseconds: int) -> None:
    """A11.1: cut to the millisecond; a leap second is the last moment before it."""
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1795341600",
        "2026-11-22",
        "2026-11-22T10:00Z",
        "2026-11-22T10:00:00",
        "2026-11-22 10:00:00Z",
        "20261122T100000Z",
        "2026-W47-7T10:00:00Z",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00,5Z",
        "2026-11-22T10:00:00+0100",
        "2026-11-22T10:00:00+01",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00+01:60",
        "2026-11-22T10:00:00+01:00:00",
        "2026-11-22T10:00:00 Z",
        "2026-11-22T10:00:00Z\n",
        " 2026-11-22T10:00:00Z",
        "2026-11-22T10:00:00ZZ",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:00:61Z",
        "2026-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-01-32T10:00:00Z",
        "2026-01-00T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "+2026-11-22T10:00:00Z",
        "-026-11-22T10:00:00Z",
        "12026-11-22T10:00:00Z",
        "２０２６-11-22T10:00:00Z",
        "2026‐11‐22T10:00:00Z",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """A time without its offset is none: it would mean another moment to every reader."""
    with pytest.raises(BadTime, match="not a time"):
        parse_time(text)


@given(st.text() | st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z"))
def test_no_text_makes_reading_fail_otherwise(text: str) -> None:
    """A number that can be written back or :class:`BadTime`, whatever a stranger writes."""
    with contextlib.suppress(BadTime):
        assert FIRST <= parse_time(text) <= LAST
