"""Counts how often somebody does something, within a window of time and a bound of memory."""

import math
from collections.abc import Hashable
from itertools import islice
from typing import NamedTuple


class Rate(NamedTuple):
    """So many times in so many seconds."""

    quota: int
    window_s: int


class Use(NamedTuple):
    """What a quota still holds, and when it is whole again."""

    left: int
    resets_in_s: int


class Meter:
    """A quota for each name. Its window begins with the first time that counts.

    Of more than ``most_names`` in their windows those are forgotten that began first: whoever makes up names gets
    no memory of ours for it. Times are seconds of a clock that never goes back.
    """

    def __init__(self, rate: Rate, *, most_names: int = 10_000) -> None:
        self.rate = rate
        self._most_names = most_names
        # In the order in which the windows began, which is also that in which they end.
        self._windows: dict[Hashable, tuple[float, int]] = {}

    def use(self, name: Hashable, now: float) -> Use:
        """What is left for the name."""
        began, times = self._window(name, now)
        left_s = self.rate.window_s - (now - began)
        return Use(max(self.rate.quota - times, 0), max(math.ceil(left_s), 1))

    def count(self, name: Hashable, now: float) -> Use:
        """Count once more, and give what is left then."""
        began, times = self._window(name, now)
        if times == 0:
            self._windows.pop(name, None)
            self._make_room(now)
        self._windows[name] = (began, times + 1)
        return self.use(name, now)

    def _window(self, name: Hashable, now: float) -> tuple[float, int]:
        began, times = self._windows.get(name, (now, 0))
        return (began, times) if now < began + self.rate.window_s else (now, 0)

    def _make_room(self, now: float) -> None:
        # Two go for one that comes, as far as they are over: what is left behind never grows.
        for name, (began, _) in list(islice(self._windows.items(), 2)):
            if len(self._windows) >= self._most_names or now >= began + self.rate.window_s:
                del self._windows[name]
