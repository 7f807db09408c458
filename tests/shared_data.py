"""Finds the folder of real mails, user agents and addresses that some tests read."""

import os
from pathlib import Path

import pytest

_BESIDE_THE_PROJECT = Path(__file__).parents[2] / "shared" / "data"


def shared(name: str) -> Path:
    """The file or folder of that name among the shared test data; skips the test when it is not there.

    The folder is ``$TRACKER_TEST_DATA``, or ``../shared/data`` beside the project.
    """
    path = Path(os.environ.get("TRACKER_TEST_DATA", _BESIDE_THE_PROJECT)) / name
    if not path.exists():
        pytest.skip(f"shared test data not found: {path} (set TRACKER_TEST_DATA to its folder)")
    return path
