"""The two header fields of RFC 8058."""

import pytest

from tracker.mail.headers import UnwritableURL, unsubscribe_headers


def test_header_fields_are_those_of_rfc_8058() -> None:
    """A1.1, A1.2, A1.3: one URI in angle brackets, and the constant, byte for byte."""
    assert unsubscribe_headers("https://t.example/u/AQ.b-_~?a=1&b=%20;c") == {
        "List-Unsubscribe": "<https://t.example/u/AQ.b-_~?a=1&b=%20;c>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


@pytest.mark.parametrize("character", [*map(chr, range(0x21)), "\x7f", "\x85", "<", ">", ",", "é", "\u2028", "\ud800"])
def test_url_that_would_break_out_of_the_field_is_refused(character: str) -> None:
    """No URL adds a header field, ends its bracket or begins a second URI, wherever the character stands."""
    for url in (
        f"https://t.example/u/a{character}b",
        f"https://t.example/u/a{character}",
        f"{character}https://t.example/",
    ):
        with pytest.raises(UnwritableURL, match="percent-encode"):
            unsubscribe_headers(url)


def test_empty_url_is_refused() -> None:
    """``<>`` is no URI."""
    with pytest.raises(UnwritableURL):
        unsubscribe_headers("")
