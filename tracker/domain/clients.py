"""What people read with: the program, the system and the kind of device, by the user agent's own words."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from .agents import GMAIL_PREFETCH, proxy_of
from .events import LONGEST_USER_AGENT, cleaned

Device = Literal["desktop", "phone", "tablet"]

# The first that matches counts: a mail program carries the name of the browser inside it as well.
_MAIL_PROGRAMS = (
    ("outlook/", "Outlook"),
    ("outlook-ios", "Outlook"),
    ("outlook-android", "Outlook"),
    ("microsoft outlook", "Outlook"),
    ("ms-office", "Outlook"),
    ("msoffice", "Outlook"),
    ("windowsmail", "Windows Mail"),
    ("thunderbird", "Thunderbird"),
    ("postbox", "Postbox"),
    ("foxmail", "Foxmail"),
    ("bluemail", "BlueMail"),
    ("the bat!", "The Bat!"),
    ("android-gmail", "Gmail"),
    ("co.yahoo.ymail", "Yahoo Mail"),
    ("navermailapp", "Naver Mail"),
)

# On a telephone or a tablet Apple's mail program is the engine alone, and does not add that it is like Safari.
_APPLE_MAIL_ON_IOS = re.compile(r"mozilla/5\.0 \((?:iphone|ipad|ipod)[^)]*\) applewebkit/\S+ \([^)]*\) mobile/\w+")

_MAILBOXES = {"gmail_proxy": "Gmail", "yahoo_proxy": "Yahoo Mail"}

_NAMES_SHOWN = {
    "Android": "Android Browser",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile WebView": "Android WebView",
    "Chrome Mobile iOS": "Chrome",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "IE": "Internet Explorer",
    "IE Mobile": "Internet Explorer",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "iOS WebView",
    "Opera Mobile": "Opera",
}

_SYSTEMS_SHOWN = {"Mac OS X": "macOS", "Mac OS": "macOS"}

_DEVICE_OF_SYSTEM: Final[dict[str, Device]] = {
    "Windows": "desktop",
    "Mac OS X": "desktop",
    "Mac OS": "desktop",
    "Linux": "desktop",
    "Ubuntu": "desktop",
    "Debian": "desktop",
    "Fedora": "desktop",
    "Chrome OS": "desktop",
    "FreeBSD": "desktop",
    "OpenBSD": "desktop",
    "NetBSD": "desktop",
    "Windows Phone": "phone",
    "BlackBerry OS": "phone",
    "Symbian OS": "phone",
    "KaiOS": "phone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program by its usual name, its system, and the kind of device; None for what is hidden or unknown."""

    name: str | None = None
    os: str | None = None
    device: Device | None = None


def describe(user_agent: str) -> Program:
    """What sent this user agent, of which the first 512 characters count. Never fails.

    The first call loads the tables of ua-parser: half a second and some 35 MB.
    """
    return _describe(cleaned(user_agent, LONGEST_USER_AGENT))


@lru_cache(maxsize=4_096)
def _describe(user_agent: str) -> Program:
    lowered = user_agent.lower()
    proxy = proxy_of(lowered)
    if proxy is not None:
        return Program(name=_MAILBOXES.get(proxy))
    if user_agent == GMAIL_PREFETCH:
        return Program(name="Gmail")
    # Loaded here, since the process that answers readers never asks.
    from ua_parser import parse

    found = parse(user_agent)
    family = found.user_agent.family if found.user_agent else None
    system = found.os.family if found.os else None
    return Program(
        name=_mail_program(lowered) or (family and _NAMES_SHOWN.get(family, family)),
        os=system and _SYSTEMS_SHOWN.get(system, system),
        device=_device(system, lowered),
    )


def _mail_program(lowered: str) -> str | None:
    if _APPLE_MAIL_ON_IOS.fullmatch(lowered):
        return "Apple Mail"
    return next((name for part, name in _MAIL_PROGRAMS if part in lowered), None)


def _device(system: str | None, lowered: str) -> Device | None:
    if system == "iOS":
        return "tablet" if "ipad" in lowered else "phone"
    if system == "Android":
        return _android_device(lowered)
    return _DEVICE_OF_SYSTEM.get(system or "")


def _android_device(lowered: str) -> Device | None:
    """Browsers on Android say "Mobile" on telephones and leave it out on tablets; television sets say "TV"."""
    if "mobile" in lowered:
        return "phone"
    if "tv" in lowered or not lowered.startswith("mozilla/"):
        return None
    return "tablet"
