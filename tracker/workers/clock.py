"""Whether the time of day can be believed."""

import time
from collections.abc import Callable

_JUMP_S = 60.0


class DayClock:
    """The time of day, watched by the clock that only counts: after a jump nothing is forgotten for ``hold_s``.

    A clock that is set wrong is mostly set right within hours, and what was removed meanwhile would stay away.
    """

    def __init__(
        self,
        *,
        hold_s: float = 86_400.0,
        time_of_day: Callable[[], float] = time.time,
        counted: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hold_s = hold_s
        self._time_of_day = time_of_day
        self._counted = counted
        self._apart = time_of_day() - counted()
        self._believed_from = counted()

    def believed(self) -> int | None:
        """Unix milliseconds; None while the time of day has jumped not long ago. To be asked again and again."""
        now, counted = self._time_of_day(), self._counted()
        if abs(now - counted - self._apart) > _JUMP_S:
            self._believed_from = counted + self._hold_s
        # What a clock is corrected by little by little is no jump.
        self._apart = now - counted
        return int(now * 1000) if counted >= self._believed_from else None
