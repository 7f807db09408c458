"""Where a click may lead: judged as a browser would when a link is made, and by one rule when it is read."""

import re

import ada_url

LONGEST_DESTINATION = 2_048
"""Bytes of a destination once it is serialised."""

# What stands before an "@" of the authority is a user name; where "\" ends the authority, not all programs agree.
_READABLE = re.compile(r"https?://(?![/?#:])(?![^/?#]*@)(?![^?#]*\\)[!-~]+")


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
    destination: str = parsed.href
    if len(destination) > LONGEST_DESTINATION:
        raise BadDestination(f"longer than {LONGEST_DESTINATION:,} characters")
    if not leads_on(destination):
        raise BadDestination("not a URL that can be written in plain ASCII")
    return destination


def leads_on(destination: str) -> bool:
    """Whether a signed destination may be followed: http or https, visible ASCII, a host, no user name."""
    return len(destination) <= LONGEST_DESTINATION and _READABLE.fullmatch(destination) is not None
