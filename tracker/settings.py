"""Every option once: its environment name, its type, what holds without it, and a sentence."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

PREFIX = "TRACKER_"
"""What the names of all variables begin with."""


class BadSetting(ValueError):
    """A setting cannot be used; the message names it and says what to write."""


def _option(default: Any, sentence: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"sentence": sentence, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of a server; each is read from ``TRACKER_`` and its name in capitals."""

    database_url: str = _option(
        "sqlite:///tracker.db",
        "Where everything is stored: sqlite:///relative.db, sqlite:////absolute/path.db, or postgresql://user@host/name.",
    )
    base_url: str = _option(
        "http://127.0.0.1:8000", "What links in mails begin with. One-click unsubscribe is valid over https only."
    )
    host: str = _option("127.0.0.1", "The address to listen on.")
    port: int = _option(8000, "The port to listen on; 0 takes a free one.")
    secret_keys: str | None = _option(
        None,
        "Signing keys as 1:<base64url of 32 bytes>,2:...; without it they live in <database file>.keys.",
        secret=True,
    )
    signing_key: int | None = _option(
        None, "The number of the key that signs new links; without it the highest whose time has come."
    )
    trusted_proxies: str = _option(
        "", "Addresses or networks of your reverse proxies, with commas between; only they may say who the client is."
    )
    abuse_contact: str | None = _option(
        None, "Where abuse is reported, shown on the tracking host: a mailto: or https: URL, or plain words."
    )
    lift: str = _option(
        "yes", "Whether customers may lift an opt-out that is older than a consent they can prove: yes or no."
    )
    new_accounts: str = _option(
        "open", "What a new account may do: open (everything), or limited, until the operator confirms it."
    )
    limited_messages: int = _option(200, "Messages that a limited account may make a day, in UTC.")
    key_rate: str = _option(
        "60000/minute", "How many requests an API key may make: a number, a slash, and second, minute, hour or day."
    )
    account_rate: str = _option("120000/minute", "How many all API keys of an account may make together, as above.")
    failure_rate: str = _option(
        "600/minute",
        "How many wrong API keys and links that are none are answered to one network; what is right always is.",
    )
    metrics_token: str | None = _option(
        None,
        "Opens /metrics from anywhere, as Authorization: Bearer; without it, from loopback and private networks alone.",
        secret=True,
    )
    worker: str = _option(
        "process", "Where the projector works: process (its own), inline (tests, tiny machines), elsewhere."
    )
    journal_ceiling: int = _option(
        5_000_000, "Hits the journal holds before they are projected; above it opens are answered 503."
    )
    queue_limit: int = _option(10_000, "Hits that may wait for one commit; above it opens are answered 503.")
    head_seconds: int = _option(
        10, "How long the head of a request may take to arrive, and a new connection to send one; 1 to 60."
    )
    body_seconds: int = _option(
        30,
        "How long the body of a request may take to arrive, and an answer to be read, beside a second for each 16 KiB; "
        "1 to 600.",
    )
    connections: int = _option(
        10_000, "How many may be open at once; where the limit of open files is lower, that one holds."
    )
    connections_per_address: int = _option(
        256, "How many of them one IPv4 address, or one IPv6 /64, may hold; trusted proxies may hold all."
    )
    drain_seconds: int = _option(5, "How long requests may take to end when the server is told to stop; 5 at most.")
    log_level: str = _option("info", "How much is logged: debug, info, warning or error.")
    log_format: str = _option("auto", "How it is logged: json, text, or auto: json unless it goes to a terminal.")

    def __post_init__(self) -> None:
        """Raises :class:`BadSetting`."""
        for check in (_check_base_url, _check_proxies, _check_words, _check_numbers, _check_rates):
            check(self)

    @property
    def proxies(self) -> list[str]:
        """The trusted proxies, one by one."""
        return [part.strip() for part in self.trusted_proxies.split(",") if part.strip()]


def times_and_seconds(rate: str) -> tuple[int, int]:
    """A rate such as ``600/minute`` as a number of times in a number of seconds. Raises ``ValueError``."""
    number, _, window = rate.partition("/")
    if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= _MOST_TIMES and window in _WINDOWS_S):
        raise ValueError(rate)
    return int(number), _WINDOWS_S[window]


_WINDOWS_S = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_MOST_TIMES = 10**12


def names() -> list[str]:
    """The variable of each option, in their order."""
    return [f"{PREFIX}{option.name.upper()}" for option in fields(Settings)]


def from_environment(environment: Mapping[str, str] = os.environ, **given: object) -> Settings:
    """The settings of the environment; what is given here (and not None) goes first. Raises :class:`BadSetting`."""
    values: dict[str, object] = {}
    for name, option in zip(names(), fields(Settings), strict=True):
        if name in environment:
            values[option.name] = _read(name, environment[name], option.type)
    values.update({name: value for name, value in given.items() if value is not None})
    if isinstance(base_url := values.get("base_url"), str):
        # Host names know no case, and links are told from ours by how they begin.
        values["base_url"] = base_url.rstrip("/").lower()
    return Settings(**values)  # type: ignore[arg-type]


def _read(name: str, text: str, wanted: object) -> str | int:
    if wanted not in (int, int | None):
        return text
    try:
        return int(text)
    except ValueError:
        raise BadSetting(f"{name} is {text!r}: it must be a whole number") from None


_BASE_URL = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.ASCII)

_TRUSTS_EVERYBODY = (
    "TRACKER_TRUSTED_PROXIES holds {!r}, which takes in strangers: any of them could say who the client is. "
    "List the addresses of your proxies, or networks no wider than /8 (IPv4) or /20 (IPv6)"
)

_WIDEST_IPV4 = 8
_WIDEST_IPV6 = 20
_IPV4_IN_IPV6 = ipaddress.IPv6Network("::ffff:0:0/96")


def _holds_strangers(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether it is wider than what one operator has: 10.0.0.0/8 and fc00::/7 are private, a /19 of IPv6 is not."""
    if isinstance(network, ipaddress.IPv4Network):
        return network.prefixlen < _WIDEST_IPV4
    if network.overlaps(_IPV4_IN_IPV6):
        return network.prefixlen < _IPV4_IN_IPV6.prefixlen + _WIDEST_IPV4
    return network.prefixlen < _WIDEST_IPV6 and not network.is_private


def _check_base_url(settings: Settings) -> None:
    found = _BASE_URL.fullmatch(settings.base_url)
    if not found or int(found[1] or 1) not in range(1, 65_536):
        raise BadSetting(
            f"TRACKER_BASE_URL is {settings.base_url!r}: write the scheme and host alone, like https://t.example.com"
        )


def _check_proxies(settings: Settings) -> None:
    for proxy in settings.proxies:
        if proxy == "*":
            raise BadSetting(_TRUSTS_EVERYBODY.format(proxy))
        try:
            network = ipaddress.ip_network(proxy)
        except ValueError as error:
            raise BadSetting(f"TRACKER_TRUSTED_PROXIES: {proxy!r} is no address or network: {error}") from None
        if _holds_strangers(network):
            raise BadSetting(_TRUSTS_EVERYBODY.format(proxy))


def _check_words(settings: Settings) -> None:
    if settings.metrics_token is not None and not re.fullmatch(r"[!-~]{16,200}", settings.metrics_token):
        raise BadSetting("TRACKER_METRICS_TOKEN must be 16 to 200 characters of ASCII without spaces")
    if settings.worker not in ("process", "inline", "elsewhere"):
        raise BadSetting(f"TRACKER_WORKER is {settings.worker!r}: it must be process, inline or elsewhere")
    if settings.lift not in ("yes", "no"):
        raise BadSetting(f"TRACKER_LIFT is {settings.lift!r}: it must be yes or no")
    if settings.new_accounts not in ("open", "limited"):
        raise BadSetting(f"TRACKER_NEW_ACCOUNTS is {settings.new_accounts!r}: it must be open or limited")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise BadSetting(f"TRACKER_LOG_LEVEL is {settings.log_level!r}: it must be debug, info, warning or error")
    if settings.log_format not in ("auto", "json", "text"):
        raise BadSetting(f"TRACKER_LOG_FORMAT is {settings.log_format!r}: it must be auto, json or text")


_NUMBERS: dict[str, tuple[int, int | None]] = {
    "port": (0, 65_535),
    "limited_messages": (0, None),
    "journal_ceiling": (1, None),
    "queue_limit": (1, None),
    "head_seconds": (1, 60),
    "body_seconds": (1, 600),
    "connections": (1, None),
    "connections_per_address": (1, None),
    "drain_seconds": (0, 5),
}
"""The lowest and the highest of each."""


def _check_numbers(settings: Settings) -> None:
    for name, (low, high) in _NUMBERS.items():
        value = getattr(settings, name)
        if value < low or (high is not None and value > high):
            wanted = f"from {low} to {high}" if high is not None else f"at least {low}"
            raise BadSetting(f"TRACKER_{name.upper()} is {value}: it must be {wanted}")


def _check_rates(settings: Settings) -> None:
    for name in ("key_rate", "account_rate", "failure_rate"):
        rate = getattr(settings, name)
        try:
            times_and_seconds(rate)
        except ValueError:
            raise BadSetting(
                f"TRACKER_{name.upper()} is {rate!r}: it must be a number, a slash, and second, minute, hour or day, "
                "like 600/minute"
            ) from None
