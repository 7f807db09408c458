"""Person or machine: what the headers of one request tell about who opened or clicked, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from .agents import APPLE_MAIL_PRIVACY, GMAIL_PREFETCH, names_a_program, proxy_of
from .events import LONGEST_USER_AGENT, EventType

RULESET: Final = 1
"""Raised whenever the same request would get another verdict, so that each verdict says which rules gave it."""

PURPOSE_HEADERS: Final = frozenset({b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"})
"""The headers in which browsers say that nobody asked for this page yet, as ASGI names them."""

_AHEAD_OF_THE_PERSON = ("prefetch", "prerender", "preview")

Value = Literal["human", "machine", "unknown"]

_VALUES: Final[dict[str, Value]] = {
    "blocked": "unknown",
    "prefetch": "machine",
    "gmail_prefetch": "machine",
    "scanner_ua": "machine",
    "apple_mpp_probable": "unknown",
    "gmail_proxy": "human",
    "yahoo_proxy": "human",
    "mail_proxy": "human",
}
_PROXIES: Final = frozenset({"gmail_proxy", "yahoo_proxy", "mail_proxy"})

# An opt-out is a person's wish, whatever carries it: mailbox providers send the one-click POST from their servers.
_JUDGED: Final = frozenset({EventType.OPENED, EventType.CLICKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Person, machine or unknown; the class it was taken for; the signals that were seen, the deciding one first.

    ``proxied`` says that a mailbox provider stood between: network, device and system are its own, not the reader's.
    """

    value: Value
    machine_class: str | None = None
    signals: tuple[str, ...] = ()
    proxied: bool = False


def prefetched(purposes: Iterable[bytes | str]) -> bool:
    """Whether a value of the :data:`PURPOSE_HEADERS` says that a browser asks ahead of the person."""
    return any(_is_ahead(value) for value in purposes)


def _is_ahead(value: bytes | str) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    lowered = text.lower()
    return any(word in lowered for word in _AHEAD_OF_THE_PERSON)


def judge(*, event_type: str, user_agent: str, prefetch: bool, blocked: bool = False) -> Verdict:
    """The verdict on one request by its headers alone: ``opened`` and ``clicked`` are judged, all else is human.

    ``prefetch`` is what :func:`prefetched` said. Of the user agent the first 512 characters count. A click that was
    ``blocked`` led nowhere, so it counts for nobody's, whoever it was.
    """
    return _judge(event_type, user_agent[:LONGEST_USER_AGENT], prefetch, blocked)


@lru_cache(maxsize=4_096)
def _judge(event_type: str, user_agent: str, prefetch: bool, blocked: bool) -> Verdict:
    if event_type not in _JUDGED:
        return Verdict(value="human")
    agent = _class_of(event_type, user_agent)
    said = (("blocked",) if blocked else ()) + (("prefetch",) if prefetch else ())
    signals = said + ((agent,) if agent else ())
    if not signals:
        return Verdict(value="human")
    return Verdict(value=_VALUES[signals[0]], machine_class=signals[0], signals=signals, proxied=agent in _PROXIES)


def _class_of(event_type: str, user_agent: str) -> str | None:
    """What kind of sender this user agent stands for; None for what people read with."""
    if user_agent == GMAIL_PREFETCH:
        return "gmail_prefetch"
    if user_agent == APPLE_MAIL_PRIVACY:
        # Apple's proxies fetch pictures and never follow a link, and no browser says as little.
        return "apple_mpp_probable" if event_type == EventType.OPENED else "scanner_ua"
    lowered = user_agent.lower()
    return proxy_of(lowered) or ("scanner_ua" if names_a_program(lowered) else None)
