"""Character references in attribute values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from tests.mail.pieces import pieces
from tracker.mail.charrefs import decode_attribute, encode_attribute

_PIECES = st.sampled_from(
    pieces(
        "&·&amp·&amp;·&copy·&copy;·&not·&notin;·&notit;·&lt·&AMP·&Amp;·&zzz;·&;·&#·&#x·&#65·&#65;·"
        "&#x41;·&#X41·&#0;·&#128;·&#129;·&#159;·&#xD800;·&#xFFFE;·&#1;·&#x110000;·&#x10FFFF;·"
        "&#99999999999999999999;·&#00000000000065;·&NotEqualTilde;·=·;·a·1· ·é·#·x"
    )
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("?a=1&copy=2&reg=3", "?a=1&copy=2&reg=3"),
        ("?a=1&copyright=2", "?a=1&copyright=2"),
        ("?a=1&amp;copy=2", "?a=1&copy=2"),
        ("?a=1&amp=2", "?a=1&amp=2"),
        ("?a&copy", "?a©"),
        ("?a&lt b", "?a< b"),
        ("&#x26;&#38;&#38", "&&&"),
        ("&#150;", "–"),
        ("&#129;", "\x81"),
        ("&#1;", "\x01"),
        ("a\0&#\0", "a\ufffd&#\ufffd"),
        ("&#0;&#xDFFF;&#x110000;", "���"),
    ],
)
def test_reference_is_read_as_in_an_attribute(value: str, text: str) -> None:
    """A query keeps its ``&copy=``: browsers do not see a reference there."""
    assert decode_attribute(value) == text


def test_number_of_any_length_is_one_character() -> None:
    """A reference of 300,000 digits neither raises nor counts up."""
    assert decode_attribute(f"a&#{'9' * 300_000};b&#x{'0' * 300_000}41;") == "a�bA"


@settings(deadline=None)
@given(st.lists(_PIECES, max_size=8).map("".join))
def test_values_are_decoded_as_by_lexbor(value: str) -> None:
    """An independent parser reads the same text from every value."""
    anchor = LexborHTMLParser(f'<a href="{value}">').css_first("a")
    assert anchor is not None
    assert decode_attribute(value) == (anchor.attributes["href"] or "")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")), st.sampled_from(['"', "'"]))
def test_written_value_is_read_back(text: str, quote: str) -> None:
    """Whatever is written between two quotes is what a browser reads there."""
    value = encode_attribute(text, quote)
    anchor = LexborHTMLParser(f"<a href={quote}{value}{quote} id=after>").css_first("a")
    assert anchor is not None
    assert (anchor.attributes["href"] or "", anchor.attributes["id"]) == (text, "after")
    assert decode_attribute(value) == text
