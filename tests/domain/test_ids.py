"""Identifiers sort by time, and are read in the one form they are written in."""

import random
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracker.domain.ids import (
    BadId,
    event_id,
    event_ids,
    first_id_at,
    new_account_id,
    new_id,
    parse_account_id,
    parse_id,
    time_in,
    written,
)

LAST_MILLISECOND = 2**48 - 1

milliseconds = st.integers(0, LAST_MILLISECOND)
entropies = st.binary(min_size=10, max_size=10)


@given(milliseconds, entropies)
def test_event_id_is_a_uuid_of_its_time(occurred_at: int, entropy: bytes) -> None:
    """RFC 9562: version 7, and the milliseconds in its first six bytes."""
    identifier = uuid.UUID(bytes=event_id(occurred_at, entropy))
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert identifier.int >> 80 == occurred_at


@given(milliseconds, entropies, milliseconds, entropies)
def test_event_ids_sort_by_time(one: int, of_one: bytes, other: int, of_other: bytes) -> None:
    """Whatever is drawn, what happened earlier sorts first."""
    if one < other:
        assert event_id(one, of_one) < event_id(other, of_other)


@given(milliseconds, entropies, st.integers(-(2**50), 2**50))
@example(0, bytes(10), 0)
@example(LAST_MILLISECOND - 1, bytes(10), LAST_MILLISECOND)
@example(LAST_MILLISECOND, bytes(10), LAST_MILLISECOND + 1)
def test_bound_of_a_time_parts_earlier_events_from_later(occurred_at: int, entropy: bytes, bound: int) -> None:
    """``since`` and ``until`` are compared with ids: at the bound or after it, and never before."""
    inside = min(max(bound, 0), LAST_MILLISECOND)
    assert (event_id(occurred_at, entropy) >= first_id_at(bound)) == (occurred_at >= inside)


def test_event_ids_of_one_moment_differ() -> None:
    """A busy millisecond has as many ids as it needs."""
    ids = {event_id(1_000) for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {len(one) for one in ids} == {16}


@given(st.lists(milliseconds, max_size=20))
def test_ids_of_many_events_are_as_those_of_one(times: list[int]) -> None:
    """Each of its own time, in their order, and no two alike."""
    ids = event_ids(times)
    assert [uuid.UUID(bytes=identifier).version for identifier in ids] == [7] * len(times)
    assert [time_in(identifier) for identifier in ids] == times
    assert len({identifier[6:] for identifier in ids}) == len(times)


@pytest.mark.parametrize("occurred_at", [-1, LAST_MILLISECOND + 1])
def test_time_outside_the_form_is_an_error(occurred_at: int) -> None:
    """No event is filed under a time it did not happen at."""
    with pytest.raises(OverflowError):
        event_id(occurred_at)


def test_new_ids_grow() -> None:
    """Messages and suppressions are stored in about the order they were made in."""
    ids = [new_id() for _ in range(1_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1_000
    assert {(len(one), uuid.UUID(bytes=one).version) for one in ids} == {(16, 7)}


def test_account_ids_are_eight_random_bytes() -> None:
    """They stand in every token, so they are short, and tell nothing."""
    ids = {new_account_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert {len(one) for one in ids} == {8}


@given(st.binary(min_size=16, max_size=16))
def test_id_is_read_as_it_was_written(identifier: bytes) -> None:
    """As a UUID, in small or capital letters."""
    text = written(identifier)
    assert text == str(uuid.UUID(bytes=identifier))
    assert parse_id(text) == parse_id(text.upper()) == identifier


@given(st.binary(min_size=8, max_size=8))
def test_account_id_is_read_as_it_was_written(identifier: bytes) -> None:
    """As 16 hexadecimal digits."""
    assert len(written(identifier)) == 16
    assert parse_account_id(written(identifier)) == identifier


UUID = "01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        UUID.replace("-", ""),
        f"{{{UUID}}}",
        f"urn:uuid:{UUID}",
        f" {UUID}",
        f"{UUID}\n",
        UUID[:-1],
        f"{UUID}0",
        UUID.replace("-", "", 1) + "-",
        UUID.replace("0", "０", 1),
        UUID.replace("0", "g", 1),
        "0-1935f2e7c11-7cc2-b0f5-5d9f8ac7a9d1",
    ],
)
def test_other_forms_of_a_uuid_are_refused(text: str) -> None:
    """One spelling for one id, so that an answer never differs from the question."""
    with pytest.raises(BadId, match="not an id"):
        parse_id(text)


@pytest.mark.parametrize(
    "text", ["", "0" * 15, "0" * 17, "0" * 32, "00 11 22 33 44 55 66 77", " 0011223344556", "g" * 16, "０" * 16]
)
def test_other_forms_of_an_account_id_are_refused(text: str) -> None:
    """The same holds for accounts."""
    with pytest.raises(BadId, match="16 hexadecimal digits"):
        parse_account_id(text)


@given(st.text())
def test_no_text_makes_reading_fail_otherwise(text: str) -> None:
    """An id or :class:`BadId`, whatever a stranger writes."""
    for parse in (parse_id, parse_account_id):
        try:
            identifier = parse(text)
        except BadId:
            continue
        assert written(identifier) == text.lower()


def test_entropy_is_used_whole() -> None:
    """74 of the 80 bits that are drawn stand in the id."""
    chance = random.Random(1)
    one = bytearray(chance.randbytes(10))
    differing = 0
    for bit in range(80):
        other = bytearray(one)
        other[bit // 8] ^= 1 << bit % 8
        differing += event_id(5, bytes(one)) != event_id(5, bytes(other))
    assert differing == 74
