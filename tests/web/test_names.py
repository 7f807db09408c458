"""Names customers choose: judged without work that grows faster than what they send."""

import time

import pytest

from tracker.web.names import checked_name
from tracker.web.problems import Problem


def test_text_too_long_for_a_name_is_refused_at_once() -> None:
    """Normalising marks takes the square of their number: a body full of them would keep every reader waiting."""
    began = time.process_time()
    with pytest.raises(Problem, match="must have 1 to 100 characters"):
        checked_name("campaign", "a" + "\u0301\u0327" * 50_000)
    assert time.process_time() - began < 1
