"""Where a click may lead: judged as a browser would when a link is made, and by one rule when it is read."""

import re
import unicodedata
from functools import lru_cache

import ada_url
import idna

LONGEST_DESTINATION = 2_048
"""Bytes of a destination once it is serialised."""

# What stands before an "@" of the authority is a user name; where "\" ends the authority, not all programs agree.
_READABLE = re.compile(r"https?://(?![/?#:])(?![^/?#]*@)(?![^?#]*\\)[!-~]+")
_AUTHORITY = re.compile(r"https?://[^/?#]*")

# An IPv6 address stands in brackets; in anything else a colon would begin a port.
_HOST = re.compile(r"[^\s/\\?#@:*]+|\[[0-9A-Fa-f:.]+\]")

_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_JOINERS = "\u200c\u200d"

_LONGEST_NAME = 253
"""Characters of a name that can be looked up (RFC 1035, section 2.3.4), without its final dot."""


class BadDestination(ValueError):
    """This URL cannot be the destination of a tracked link; the message says why."""


def judge_destination(url: str) -> str:
    """The URL a browser would open for ``url``, serialised by the WHATWG URL Standard.

    Raises :class:`BadDestination` for anything but an absolute http or https URL without user name,
    at most 2,048 bytes long.
    """
    try:
        parsed = ada_url.URL(url)
    except ValueError:
        raise BadDestination("not a complete URL: begin it with https://") from None
    if parsed.protocol not in ("http:", "https:"):
        raise BadDestination("not a web link: only http and https can be tracked")
    if parsed.username or parsed.password:
        raise BadDestination("a URL with a user name or password is not tracked")
    if not _holds_together(parsed.hostname):
        raise BadDestination("not a host that a browser would ask for")
    destination: str = parsed.href
    if len(destination) > LONGEST_DESTINATION:
        raise BadDestination(f"longer than {LONGEST_DESTINATION:,} characters")
    if not leads_on(destination):
        raise BadDestination("not a URL that can be written in plain ASCII")
    return destination


def _holds_together(host: str) -> bool:
    """Whether the labels of a name may stand beside each other (RFC 5893, section 2) and joiners where they do.

    Browsers refuse the others (UTS 46, CheckBidi and CheckJoiners); ada-url looks at each label alone.
    """
    if "xn--" not in host:
        return True
    try:
        labels = [_read_label(label) for label in host.split(".") if label]
        both_ways = any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in "".join(labels))
        if both_ways and not all(idna.check_bidi(label, check_ltr=True) for label in labels):
            return False
        return all(_joins(label) for label in labels)
    except ValueError:
        return False


def _read_label(label: str) -> str:
    return label[4:].encode().decode("punycode") if label.startswith("xn--") else label


def _joins(label: str) -> bool:
    return all(idna.valid_contextj(label, place) for place, one in enumerate(label) if one in _JOINERS)


def leads_on(destination: str) -> bool:
    """Whether a signed destination may be followed: http or https, visible ASCII, a host, no user name."""
    return len(destination) <= LONGEST_DESTINATION and _READABLE.fullmatch(destination) is not None


def judge_host(host: str) -> str:
    """The host as a browser would write it: A-labels in small letters, without a final dot.

    Raises :class:`BadDestination` for anything but a host alone.
    """
    if not _HOST.fullmatch(host):
        raise BadDestination("not a host alone: write it like evil.example, without scheme, port, path or *")
    try:
        return str(ada_url.URL(f"https://{host}/").hostname).rstrip(".")
    except ValueError:
        raise BadDestination("not a host that a browser could ask for") from None


def hosts_of(destination: str) -> tuple[str, ...]:
    """The host of what :func:`leads_on` lets pass, and the domains around it; empty if no browser could read it.

    Names are spelt as :func:`judge_host` does, however the destination spells them.
    """
    found = _AUTHORITY.match(destination)
    return _hosts_at(found[0]) if found else ()


# Of what mails link to the URLs are many, and the hosts are few.
@lru_cache(maxsize=1_024)
def _hosts_at(origin: str) -> tuple[str, ...]:
    try:
        host = str(ada_url.URL(origin).hostname).rstrip(".")
    except ValueError:
        return ()
    if len(host) > _LONGEST_NAME:
        return (host,)
    labels = host.split(".")
    return tuple(".".join(labels[first:]) for first in range(len(labels)))


def without_fragment(destination: str) -> str:
    """What a browser would send for a destination that has :func:`hosts_of`; its host has no final dot."""
    parsed = ada_url.URL(destination)
    name: str = parsed.hostname
    sent: str = parsed.href.partition("#")[0]
    return sent.replace(f"//{name}", f"//{name.rstrip('.')}", 1) if name.endswith(".") else sent
