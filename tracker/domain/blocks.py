"""What the operator has stopped for abuse: where links may lead no more, and whose links."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from .destinations import BadDestination, hosts_of, judge_destination, judge_host, without_fragment
from .ids import BadId, parse_account_id

BLOCKED: Final = "blocked"
NOT_ALLOWED: Final = "host not allowed"
"""Why a link is stopped: by a block, or because its account may link to other hosts only."""

_ANYTHING = "*"


class Kind(StrEnum):
    """What a block is about."""

    URL = "url"
    HOST = "host"
    ACCOUNT = "account"


class BadBlock(ValueError):
    """This cannot be blocked; the message says why, and what to write."""


def block_value(kind: Kind, text: str) -> str:
    """The one spelling of what is to be blocked. Raises :class:`BadBlock`.

    A host has A-labels and no port. A URL is serialised as browsers do and has no fragment; a ``*`` at its end stands
    for whatever follows. An account is the 16 hexadecimal digits of its id.
    """
    try:
        match kind:
            case Kind.HOST:
                return _host(text.strip())
            case Kind.URL:
                return _url(text.partition("#")[0].strip())
            case Kind.ACCOUNT:
                return parse_account_id(text).hex()
    except (BadDestination, BadId) as error:
        raise BadBlock(str(error)) from None


def _host(text: str) -> str:
    host = judge_host(text)
    if "." not in host and not host.startswith("["):
        raise BadBlock(f"this would block every host that ends in .{host}: write a whole host, like evil.example")
    return host


def _url(text: str) -> str:
    # The star goes first: a browser would take it for a part of the host or the path.
    url = without_fragment(judge_destination(text.removesuffix(_ANYTHING)))
    return url + _ANYTHING if text.endswith(_ANYTHING) else url


class _Urls(NamedTuple):
    """What is blocked of one host: whole URLs, and how others begin."""

    whole: frozenset[str]
    beginnings: tuple[str, ...]


class Stops:
    """All that is stopped, ready to be asked at every click: its size costs a click nothing."""

    def __init__(self, blocks: Iterable[tuple[str, str]] = (), allowed: Mapping[bytes, Iterable[str]] | None = None):
        """``blocks`` are kinds and values; ``allowed`` the hosts of accounts that may link to no others."""
        values: defaultdict[str, set[str]] = defaultdict(set)
        for kind, value in blocks:
            values[kind].add(value)
        self._hosts = frozenset(values[Kind.HOST])
        self._urls = _by_host(values[Kind.URL])
        self._accounts = frozenset(map(bytes.fromhex, values[Kind.ACCOUNT]))
        self._allowed = {account: frozenset(hosts) for account, hosts in (allowed or {}).items()}
        self._empty = not (any(values.values()) or self._allowed)

    def refusal(self, account: bytes, destination: str) -> str | None:
        """Why a link of this account must not lead there: :data:`BLOCKED` or :data:`NOT_ALLOWED`; None if it may.

        ``destination`` is one that may be followed, serialised or not.
        """
        if self._empty:
            return None
        hosts = hosts_of(destination)
        if account in self._accounts or self._is_blocked(hosts, destination):
            return BLOCKED
        allowed = self._allowed.get(account)
        return NOT_ALLOWED if allowed is not None and allowed.isdisjoint(hosts) else None

    def stops_account(self, account: bytes) -> bool:
        """Whether the account itself is blocked."""
        return account in self._accounts

    def _is_blocked(self, hosts: tuple[str, ...], destination: str) -> bool:
        if not self._hosts.isdisjoint(hosts):
            return True
        urls = self._urls.get(hosts[0]) if hosts else None
        if urls is None:
            return False
        url = without_fragment(destination)
        return url in urls.whole or url.startswith(urls.beginnings)


def _by_host(values: Iterable[str]) -> dict[str, _Urls]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for value in values:
        found[hosts_of(value)[0]].append(value)
    return {
        host: _Urls(
            frozenset(url for url in urls if not url.endswith(_ANYTHING)),
            tuple(url.removesuffix(_ANYTHING) for url in urls if url.endswith(_ANYTHING)),
        )
        for host, urls in found.items()
    }
