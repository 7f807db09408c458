"""What the handlers count for the operator: since this process started, and about nobody in particular."""

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import NamedTuple

BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
"""Upper bounds of the durations that are counted together."""


class Answered(NamedTuple):
    """A kind of request: the template of its route, and its method."""

    route: str
    method: str


class Durations:
    """How long requests of a kind took."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def up_to(self) -> list[tuple[str, int]]:
        """Each bound with how many took no longer, and ``+Inf`` with all of them."""
        return list(zip((*map(str, BOUNDS_S), "+Inf"), accumulate(self._counts), strict=True))


class Connected:
    """Connections, as the server below the application counts them."""

    def __init__(self) -> None:
        self.open = 0
        """Those that hold a place now."""
        self.refused = 0
        """Those that found none."""
        self.cut: Counter[str] = Counter()
        """By the limit they met, one of ``CUTS``."""


CUTS = ("answer", "body", "head", "nothing_sent", "place", "size", "syntax")
"""Limits of a connection: why it was ended by us."""


class Tally:
    """Written by the handlers, read by whoever makes metrics of it."""

    def __init__(self) -> None:
        self.bad_tokens: Counter[str] = Counter()
        """By kind: open, click, unsubscribe, preferences."""
        self.blocked_clicks = 0
        """Clicks that were not led on, for abuse."""
        self.checked: Counter[str] = Counter()
        """Addresses of checks by answer: allowed, suppressed, invalid."""
        self.lifted = 0
        """Opt-outs that gave way to a consent."""
        self.under_way = 0
        """Requests that are being answered now."""
        self.answers: Counter[tuple[Answered, str]] = Counter()
        """Requests by kind and class of status, such as ``2xx``."""
        self.durations: dict[Answered, Durations] = {}
        self.connections = Connected()

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request has been answered."""
        kind = Answered(route, method)
        self.answers[kind, f"{status // 100}xx"] += 1
        self.durations.setdefault(kind, Durations()).add(seconds)
