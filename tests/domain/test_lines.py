"""Bytes become the same lines however they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.domain.lines import LONGEST_LINE, Line, Lines, NotText


def lines_of(*pieces: bytes) -> list[Line]:
    """All lines of bytes that come in these pieces."""
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)]
    return [*found, *lines.end()]


def texts_of(*pieces: bytes) -> list[str | None]:
    """Their texts."""
    return [line.text for line in lines_of(*pieces)]


def test_every_kind_of_end_ends_a_line() -> None:
    """And stays on it; the last line needs none, and what is no end ends nothing."""
    assert texts_of("a\nb\r\nc\rd\u2028\x0b\x85e\n\nf".encode()) == [
        *("a\n", "b\r\n", "c\r", "d\u2028\x0b\x85e\n", "\n", "f")
    ]


def test_lines_are_numbered_from_one() -> None:
    """Empty ones too."""
    assert lines_of(b"\n\na") == [Line(1, "\n"), Line(2, "\n"), Line(3, "a")]


def test_byte_order_mark_is_left_out_at_the_beginning_alone() -> None:
    """Spreadsheets write one."""
    assert texts_of("\ufeffa\n\ufeffb".encode()) == ["a\n", "\ufeffb"]
    assert lines_of("\ufeff".encode()) == [Line(1, "")]


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", "é😀".encode()]), max_size=30), st.integers(1, 7))
def test_lines_do_not_depend_on_how_the_bytes_are_cut(parts: list[bytes], size: int) -> None:
    """In the middle of a character or of an end."""
    whole = b"".join(parts)
    assert lines_of(*(whole[start : start + size] for start in range(0, len(whole), size))) == lines_of(whole)
    assert "".join(filter(None, texts_of(whole))) == whole.decode()


@pytest.mark.parametrize("pieces", [1, 3, 200])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_that_is_too_long_is_left_out(pieces: int, end: bytes) -> None:
    """Its number is not, and what comes below is read."""
    whole = b"a" + end + b"x" * (3 * LONGEST_LINE) + end + b"b" + end + b"y" * LONGEST_LINE + b"z"
    size = -(-len(whole) // pieces)
    found = lines_of(*(whole[start : start + size] for start in range(0, len(whole), size)))
    assert [(line.number, line.text and line.text.strip()) for line in found] == [
        (1, "a"),
        (2, None),
        (3, "b"),
        (4, None),
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a\nb\njosé\n".encode("latin-1"), 3),
        ("email\nada@example.com\n".encode("utf-16"), 1),
        ("email\nada@example.com\n".encode("utf-16-le"), 1),
        (b"a\n\xed\xa0\x80", 2),
    ],
)
def test_what_is_no_utf_8_is_named_by_its_line(content: bytes, line: int) -> None:
    """A file in another encoding would give other addresses."""
    with pytest.raises(NotText, match=f"line {line} is not text in UTF-8") as raised:
        lines_of(content)
    assert raised.value.line == line
