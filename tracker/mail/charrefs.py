"""Reads and writes character references in attribute values as browsers do."""

import re
from html.entities import html5

# "?a=1&copy=2" holds no copyright sign: a name without ";" counts only before neither "=" nor a letter.
_REFERENCE = re.compile(
    r"&(?:#[xX](?P<hex>[0-9A-Fa-f]++);?|#(?P<decimal>[0-9]++);?|(?P<name>[A-Za-z0-9]++)(?:;|(?!=)))"
)
_QUOTES = {'"': "&quot;", "'": "&#39;"}
_MOST_DIGITS = 7
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def decode_attribute(value: str) -> str:
    """The text of an attribute value (WHATWG HTML, 13.2.5.36 to 13.2.5.38 and 13.2.5.72 to 13.2.5.80)."""
    value = value.replace("\0", _REPLACEMENT)
    return _REFERENCE.sub(_decode, value) if "&" in value else value


def encode_attribute(text: str, quote: str = '"') -> str:
    """Writes ``text`` as a value to stand between two of ``quote``, which may be nothing."""
    escaped = text.replace("&", "&amp;")
    return escaped.replace(quote, _QUOTES[quote]) if quote else escaped


def _decode(reference: re.Match[str]) -> str:
    if reference["name"]:
        return html5.get(reference[0][1:], reference[0])
    digits = (reference["hex"] or reference["decimal"]).lstrip("0")
    if len(digits) > _MOST_DIGITS:
        return _REPLACEMENT
    return _character(int(digits or "0", 16 if reference["hex"] else 10))


def _character(code: int) -> str:
    if code == 0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        return _REPLACEMENT
    if 0x80 <= code <= 0x9F:
        # Pages of the nineties meant windows-1252; five of its places are empty and stay control characters.
        return bytes((code,)).decode("cp1252", "ignore") or chr(code)
    return chr(code)
