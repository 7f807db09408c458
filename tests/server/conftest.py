"""What the tests of real processes stand on."""

import sys

import pytest

# Expectations that several tests share say as much as those in a test when they are not met.
pytest.register_assert_rewrite("tests.server.expectations", "tests.server.harness", "tests.server.load")


@pytest.fixture
def anyio_backend() -> str:
    """The clients are asyncio's."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _with_processes_to_look_at() -> None:
    if sys.platform != "linux":
        pytest.skip("needs Linux: processes are found in /proc")
