"""Writes the header fields that give a mail its one-click unsubscribe button (RFC 8058)."""

import re

# Visible ASCII without what ends a URI in the field's list (RFC 2369, section 2).
_WRITABLE = re.compile(r"[!-~]+")
_STRUCTURE = re.compile(r"[<>,]")


class UnwritableURL(ValueError):
    """This URL would end the header field, or the URI in it, too early."""


def unsubscribe_headers(url: str) -> dict[str, str]:
    """Both header fields for one URL: it must be https for mail programs to offer the button.

    Raises :class:`UnwritableURL` for white space, control characters, ``<``, ``>``, ``,`` and non-ASCII.
    """
    if not _WRITABLE.fullmatch(url) or _STRUCTURE.search(url):
        raise UnwritableURL(f"not a URL for a header field: {url!a}: percent-encode all but visible ASCII, and < > ,")
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
