"""What the tests of real processes stand on."""

import sys

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The clients are asyncio's."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _with_processes_to_look_at() -> None:
    if sys.platform != "linux":
        pytest.skip("needs Linux: processes are found in /proc")
