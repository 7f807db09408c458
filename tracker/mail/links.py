"""Judges which links of a mail are tracked, and says why the others are left as they are."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..domain.links import LAST_LINK_NUMBER

# What a browser takes off a URL before it reads the scheme.
_AROUND = "".join(map(chr, range(0x21)))
_INSIDE = str.maketrans("", "", "\t\n\r")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+(?=:)")
_COMPLETE = re.compile(r"https?:[/\\]{2}", re.IGNORECASE)
_OWN = "own link"
_WEB = frozenset({"http", "https"})
_NOT_WEB = {"cid": "cid link", "mailto": "mailto link", "sms": "sms link", "tel": "tel link"}

_DELIMITERS = (
    (r"\{\{", r"\}\}"),  # Handlebars, Liquid, Jinja
    (r"\{%", r"%\}"),
    (r"<%", r"%>"),  # ERB, EJS
    (r"\*\|", r"\|\*"),  # Mailchimp
    (r"%%", r"%%"),  # Salesforce
    (r"\[\[", r"\]\]"),  # Mailjet
)
# Looking no further than the next opening keeps many openings without an end from taking quadratic time.
_DELIMITED = "|".join(rf"{start}(?:(?!{start}|{end}).)*+{end}" for start, end in _DELIMITERS)
# A link left alone by mistake is not counted; one tracked by mistake would lead to the tag, not to what fills it.
_NAMED = r"%recipient(?:\.[\w.-]++)?+%|%(?:tag_|mailing_list_)?+unsubscribe_url%"  # Mailgun
MERGE_TAG = f"{_DELIMITED}|{_NAMED}"
"""A place that the sender's mailer fills in later; the pattern asks for its opening and its closing part."""

_MERGE_TAG = re.compile(MERGE_TAG, re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """A link that was signed: ``destination`` is where it leads, ``href`` what stands in the mail."""

    destination: str
    href: str


Track = Callable[[int, str], Tracked]
"""Signs a link, given its number and its URL as written. Raises ValueError, saying why, when it cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link of a mail: ``url`` is the destination, or what stands there if ``why`` it is not tracked."""

    number: int
    url: str
    tracked: bool
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A mail's text with its links replaced, and every link that was found."""

    content: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges the links of one mail; ``own`` is what our own links begin with.

    ``based``: a ``base`` of the mail says what its relative links are relative to.
    """

    track: Track
    own: str
    based: bool = False

    def judge(self, number: int, url: str, *, off: bool = False, doubtful: bool = False) -> tuple[Link, str | None]:
        """The link as it is reported, and the href that replaces it, None if it stays."""
        why = "data-tracker is off" if off else "inside raw text" if doubtful else None
        why = why or reason_to_leave(number, url, self.own, based=self.based)
        if why is not None:
            return _left(number, url, why), None
        try:
            tracked = self.track(number, url)
        except ValueError as error:
            return _left(number, url, str(error)), None
        # Only now is a host in capitals spelt as ours is.
        if tracked.destination.startswith(self.own):
            return _left(number, url, _OWN), None
        return Link(number=number, url=tracked.destination, tracked=True, why=None), tracked.href


def reason_to_leave(number: int, url: str, own: str, *, based: bool = False) -> str | None:
    """Why a link is none to track, in words for the sender; None when it may be one."""
    seen = url.strip(_AROUND).translate(_INSIDE)
    if not seen:
        return "empty"
    if _MERGE_TAG.search(url):
        return "merge tag"
    if seen.startswith("#"):
        return "fragment"
    scheme = _SCHEME.match(seen)
    if scheme and scheme[0].lower() not in _WEB:
        return _NOT_WEB.get(scheme[0].lower(), "not a web link")
    # "https:shop.example" names a host, and a page beside a base that begins with the same scheme.
    if based and scheme and not _COMPLETE.match(seen):
        return "relative to the base"
    if seen.startswith(own):
        return _OWN
    return "too many links" if number > LAST_LINK_NUMBER else None


def _left(number: int, url: str, why: str) -> Link:
    return Link(number=number, url=url, tracked=False, why=why)
