"""What was sent and what came of it, written down outside the server, to be compared with what it stored."""

import copy
import time
from collections import Counter
from typing import NamedTuple

from tests.server.stored import Deed, Kind, Stored

# Within this the commit must have come, or storage have failed: the reader is led on after 250 ms, stored or not.
_COMMITTED_WITHIN_S = 0.2
_AROUND_AN_OUTAGE_S = 5.0


class Fault(NamedTuple):
    """A promise that was not kept."""

    kind: str
    what: object


class Ledger:
    """Each deed is sent first; then it is acknowledged, or answered with an error, or its fate stays unknown.

    A click is answered 302 whatever happens, so it counts as acknowledged only if the answer came before the
    server's patience ended and no other hit was answered 503 at about that time: then it was committed first.
    ``outlived`` says that the server is never killed, so that whatever it keeps in memory meanwhile must
    arrive too: then every 302 counts.
    """

    def __init__(self, *, outlived: bool = False) -> None:
        self._outlived = outlived
        self._sent: set[Deed] = set()
        self._acknowledged: set[Deed] = set()
        self._led_on: dict[Deed, float] = {}
        self._outages: list[float] = []
        self.answers: Counter[tuple[Kind, int]] = Counter()
        self.unknown = 0
        """How many requests went out and were never answered."""

    def send(self, deed: Deed) -> None:
        """To be written down before the request goes out."""
        self._sent.add(deed)

    def answered(self, deed: Deed, status: int, took_s: float) -> None:
        """A whole answer came, ``took_s`` seconds after the request."""
        self.answers[deed.kind, status] += 1
        if deed.kind == "clicked":
            if status == 302 and (self._outlived or took_s < _COMMITTED_WITHIN_S):
                self._led_on[deed] = time.monotonic()
        elif 200 <= status < 300:
            self._acknowledged.add(deed)
        elif status == 503 and deed.kind != "message":
            # A message goes to the main file, and says nothing about where clicks are stored.
            self._outages.append(time.monotonic())

    def unanswered(self) -> None:
        """A request went out and no whole answer came."""
        self.unknown += 1

    def sent(self, kind: Kind) -> set[Deed]:
        """All that the server may have heard of."""
        return {deed for deed in self._sent if deed.kind == kind}

    def acknowledged(self, kind: Kind) -> set[Deed]:
        """What the server has promised to have."""
        if kind != "clicked":
            return {deed for deed in self._acknowledged if deed.kind == kind}
        return {deed for deed, at in self._led_on.items() if self._outlived or not self._failing(at)}

    def as_of_now(self) -> "Ledger":
        """What has been promised so far, while this one goes on."""
        return copy.deepcopy(self)

    def may_hold(self, other: "Ledger") -> None:
        """The server may also have heard of what the other ledger sent."""
        self._sent |= other._sent

    @property
    def acknowledgements(self) -> int:
        """How many deeds have been answered well, to measure the load by."""
        return len(self._acknowledged) + len(self._led_on)

    def _failing(self, at: float) -> bool:
        return any(abs(at - outage) < _AROUND_AN_OUTAGE_S for outage in self._outages)


KINDS: tuple[Kind, ...] = ("message", "opened", "clicked", "unsubscribed")


def faults(ledger: Ledger, stored: Stored) -> list[Fault]:
    """Every promise that was not kept: acknowledged <= stored <= sent, each once, and all numbers agree."""
    kept = Counter(stored.deeds)
    found = [Fault("twice", deed) for deed, times in kept.items() if times > 1]
    for kind in KINDS:
        those = {deed for deed in kept if deed.kind == kind}
        found += [Fault("lost", deed) for deed in sorted(ledger.acknowledged(kind) - those)]
        found += [Fault("invented", deed) for deed in sorted(those - ledger.sent(kind))]
    return [*found, *(Fault("inconsistent", what) for what in stored.inconsistencies)]
