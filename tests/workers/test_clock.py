"""A clock that jumps is not believed for a day; one that is corrected little by little is."""

import pytest

from tracker.workers.clock import DayClock

_DAY_S = 86_400.0


class Clocks:
    """Two clocks, set by hand."""

    def __init__(self) -> None:
        self.time_of_day = 1_795_000_000.0
        self.counted = 5.0
        self.clock = DayClock(time_of_day=lambda: self.time_of_day, counted=lambda: self.counted)

    def pass_by(self, seconds: float, *, jump: float = 0.0) -> int | None:
        """So much later, on a clock that was set meanwhile."""
        self.counted += seconds
        self.time_of_day += seconds + jump
        return self.clock.believed()


def test_a_clock_that_goes_is_believed() -> None:
    """In milliseconds, also after years, and although it is corrected by a second now and then."""
    clocks = Clocks()
    assert clocks.pass_by(0) == 1_795_000_000_000
    assert all(clocks.pass_by(3_600, jump=1.0) is not None for _ in range(10_000))


@pytest.mark.parametrize("jump", [-3_600.0, 40 * _DAY_S])
def test_a_clock_that_jumped_is_not_believed_for_a_day(jump: float) -> None:
    """F09: in either direction; set right again it has jumped once more."""
    clocks = Clocks()
    assert clocks.pass_by(60, jump=jump) is None
    assert clocks.pass_by(_DAY_S - 120) is None
    assert clocks.pass_by(60, jump=-jump) is None
    assert clocks.pass_by(_DAY_S - 1) is None
    assert clocks.pass_by(1) is not None
