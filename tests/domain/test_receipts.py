"""An Idempotency-Key is read as it was meant, or refused with what to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.receipts import LONGEST_KEY, BadIdempotencyKey, read_idempotency_key

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]
KEYS = st.text(alphabet=PRINTABLE, min_size=1, max_size=LONGEST_KEY)


def quoted(key: str) -> str:
    """As RFC 8941, section 4.1.6, writes a String."""
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(KEYS)
def test_every_string_is_read_back(key: str) -> None:
    """A10.1: whatever printable characters it holds."""
    assert read_idempotency_key([quoted(key)]) == key
    assert read_idempotency_key([f" \t{quoted(key)}\t "]) == key


@given(st.text(alphabet=PRINTABLE[1:], min_size=1, max_size=LONGEST_KEY).filter(lambda key: key[0] != '"'))
def test_key_without_quotes_is_the_same_key(key: str) -> None:
    """A10.1: a client that sends a bare UUID and one that quotes it mean the same."""
    assert read_idempotency_key([key]) == key


@given(st.lists(st.text(max_size=300), max_size=3))
def test_anything_else_is_refused_with_words(fields: list[str]) -> None:
    """Never another exception, and never a key that could not be quoted."""
    try:
        key = read_idempotency_key(fields)
    except BadIdempotencyKey:
        return
    assert read_idempotency_key([quoted(key)]) == key


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["a", "a"],
        [""],
        [" "],
        ['""'],
        ['"'],
        ['"a'],
        ["a b"],
        ['"a" "b"'],
        ['"a"b"'],
        ['"a\\b"'],
        ['"a\\"'],
        ['"é"'],
        ["é"],
        ["a\x7f"],
        ['"a\x00"'],
        ["a" * (LONGEST_KEY + 1)],
        [quoted("a" * (LONGEST_KEY + 1))],
    ],
)
def test_what_is_no_key_is_refused(fields: list[str]) -> None:
    """None, several, empty, too long, or not a String."""
    with pytest.raises(BadIdempotencyKey, match=r"\A[A-Z].*\.\Z"):
        read_idempotency_key(fields)
