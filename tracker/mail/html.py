"""Rewrites the links of an HTML mail and adds the pixel."""

import re

from .charrefs import decode_attribute, encode_attribute
from .links import Judge, Link, Rewritten, Track
from .scanner import Href, scan

_BARE = re.compile(r"""[^\t\n\f\r "'=<>`]+""")

_Edit = tuple[int, int, str]


def rewrite_html(html: str, *, track: Track, own: str, pixel: str | None, first: int = 0) -> Rewritten:
    """Replaces the ``href`` values that ``track`` signs and puts ``pixel``, a URL, at the end of the content.

    Every other character stays. Links are numbered from ``first``, tracked or not; ``own`` is the base URL
    with its slash. Decode bytes of an unknown or ASCII-compatible charset as latin-1: it loses nothing.
    """
    found = scan(html)
    judge = Judge(track=track, own=own, based=found.based)
    links: list[Link] = []
    edits: list[_Edit] = []
    for number, href in enumerate(found.hrefs, first):
        url = decode_attribute(html[href.start : href.end])
        link, replacement = judge.judge(number, url, off=href.off, doubtful=href.doubtful)
        links.append(link)
        if replacement is not None:
            edits.append((href.start, href.end, _write_value(replacement, href)))
    if pixel is not None:
        edits.append((found.end, found.end, _write_pixel(pixel)))
    return Rewritten(content=_apply(edits, html), links=tuple(links))


def _write_value(url: str, href: Href) -> str:
    if href.quote or _BARE.fullmatch(url):
        return encode_attribute(url, href.quote)
    return f'"{encode_attribute(url)}"'


def _write_pixel(url: str) -> str:
    return f'<img src="{encode_attribute(url)}" width="1" height="1" alt="">'


def _apply(edits: list[_Edit], html: str) -> str:
    pieces: list[str] = []
    copied = 0
    # A link may follow the last </body>: the pixel then comes before it.
    for start, end, replacement in sorted(edits):
        pieces += (html[copied:start], replacement)
        copied = end
    return "".join(pieces) + html[copied:]
