"""Takes the newsletter of the demo: a page of HTML, the HTML part of a mail, or the built-in one."""

import codecs
import email
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..web.static import static_folder

_BUILT_IN = Path("demo", "newsletter.html")


class BadNewsletter(ValueError):
    """This file holds no newsletter; the message says what to name instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newsletter:
    """What is sent: ``sender`` is the company it comes from, ``source`` says where it was found."""

    source: str
    sender: str
    html: str


def read_newsletter(path: Path | None = None) -> Newsletter:
    """The newsletter in an ``.html`` or ``.eml`` file, or the built-in one. Raises :class:`BadNewsletter`."""
    if path is None:
        html = _decoded(_read(static_folder() / _BUILT_IN))
        return Newsletter(source="the built-in newsletter", sender="Larkspur & Rook", html=html)
    return Newsletter(source=path.name, sender="The Demo Company", html=_html_of(path))


def _html_of(path: Path) -> str:
    kind = path.suffix.lower()
    if kind in (".html", ".htm"):
        return _decoded(_read(path))
    if kind == ".eml":
        return _first_html_part(path)
    raise BadNewsletter(f"{path} is neither .html nor .eml: name a page of HTML, or a whole mail")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadNewsletter(f"cannot read {path}: {error.strerror}") from None


def _first_html_part(path: Path) -> str:
    # The older policy of the library reads headers that make the newer one raise.
    for part in email.message_from_bytes(_read(path)).walk():
        if part.get_content_type() == "text/html":
            content = part.get_payload(decode=True)
            charset = part.get_content_charset()
            return _decoded(content if isinstance(content, bytes) else b"", [charset] if charset else [])
    raise BadNewsletter(f"{path} has no HTML part, so nothing in it can be tracked: name a mail that has one")


def _decoded(content: bytes, charsets: Sequence[str] = ()) -> str:
    for charset in (*charsets, "utf-8"):
        try:
            return codecs.decode(content, charset).removeprefix("\ufeff")
        except (LookupError, ValueError):
            continue
    # Each byte is one character: whatever it means, nothing is lost on the way.
    return content.decode("latin-1")
