"""Who is connected: how many at most, and how long each may keep us waiting."""

import asyncio
import heapq
import ipaddress
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..web.tallies import Connected

_KEPT_DESCRIPTORS = 128
"""Open files that are no connections: databases, the worker's pipe, the listener, and room for a command beside."""

_LONGEST_TICK_S = 1.0
_ROOM_MADE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a connection may take. ``proxies`` are addresses or networks that many readers come through."""

    head_seconds: int
    body_seconds: int
    connections: int
    per_address: int
    proxies: Iterable[str] = ()


class Connection(Protocol):
    """What is asked of one that is connected."""

    due: float

    def look(self) -> None:
        """Its time is up: cut it off, or set the next time."""

    def waits(self) -> bool:
        """Whether nothing is being done for it."""

    def give_way(self) -> None:
        """Hang up."""


class Connections:
    """All connections of a process, looked at once a tick: a timer for each request would cost every reader."""

    def __init__(self, limits: Limits, connected: Connected) -> None:
        self.limits = limits
        self.connected = connected
        # The time the server lived through, in ticks. What it slept through itself is nobody's delay.
        self.now = 0.0
        self._set_dues()
        self.tick_s = min(_LONGEST_TICK_S, limits.head_seconds / 4)
        self._ticking = False
        self._proxies = [ipaddress.ip_network(proxy) for proxy in limits.proxies]
        self._all: set[Connection] = set()
        self._crowds: dict[str, set[Connection]] = {}
        self._crowd_of: dict[Connection, str] = {}

    def admit(self, connection: Connection, address: str | None) -> bool:
        """Count it in. Where there is no room, those that have waited longest hang up; False when none waits."""
        crowd = self._crowd(address)
        others = self._crowds.get(crowd, set()) if crowd is not None else set()
        if not (self._has_room(self._all, self.limits.connections) and self._has_room(others, self.limits.per_address)):
            self.connected.refused += 1
            return False
        self._all.add(connection)
        self.connected.open = len(self._all)
        if crowd is not None:
            self._crowds.setdefault(crowd, set()).add(connection)
            self._crowd_of[connection] = crowd
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(self.tick_s, self._tick)
        return True

    def forget(self, connection: Connection) -> None:
        """It is gone, or was never admitted."""
        self._all.discard(connection)
        self.connected.open = len(self._all)
        crowd = self._crowd_of.pop(connection, None)
        if crowd is not None:
            self._crowds[crowd].discard(connection)
            if not self._crowds[crowd]:
                del self._crowds[crowd]

    def _has_room(self, crowd: set[Connection], most: int) -> bool:
        if len(crowd) < most:
            return True
        # Several at once: looking for them costs more than hanging up.
        waiting = (connection for connection in crowd if connection.waits())
        leaving = heapq.nsmallest(len(crowd) // _ROOM_MADE + 1, waiting, key=_due)
        for connection in leaving:
            self.forget(connection)
            self.connected.cut["place"] += 1
            connection.give_way()
        return bool(leaving)

    def advance(self) -> None:
        """Live through one tick, and look at those whose time is up."""
        self.now += self.tick_s
        self._set_dues()
        for connection in [one for one in self._all if one.due < self.now]:
            connection.look()

    def _tick(self) -> None:
        self.advance()
        self._ticking = bool(self._all)
        if self._ticking:
            asyncio.get_running_loop().call_later(self.tick_s, self._tick)

    def _set_dues(self) -> None:
        # Every request needs them, so they are reckoned once a tick.
        self.head_due = self.now + self.limits.head_seconds
        self.body_due = self.now + self.limits.body_seconds

    def _crowd(self, address: str | None) -> str | None:
        """Whom it is counted with: its IPv4 address or its IPv6 /64; None for a proxy, which speaks for many."""
        try:
            peer = ipaddress.ip_address(address or "")
        except ValueError:
            return None
        if isinstance(peer, ipaddress.IPv6Address):
            peer = peer.ipv4_mapped or peer
        if any(peer in network for network in self._proxies):
            return None
        return str(peer) if peer.version == 4 else str(int(peer) >> 64)


def _due(connection: Connection) -> float:
    return connection.due


def connections_within_reach(wanted: int) -> int:
    """As many of these as the system gives us open files for; asks it for more where it lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _KEPT_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - _KEPT_DESCRIPTORS)
