"""What holds for every test."""

import pytest
from hypothesis import settings

# Expectations that several tests share say as much as those in a test when they are not met.
pytest.register_assert_rewrite("tests.server.expectations", "tests.server.harness", "tests.server.load")

# How long an example takes says more about who else works on the machine than about us.
settings.register_profile("patient", settings(deadline=None))
settings.load_profile("patient")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The product runs on asyncio."""
    return "asyncio"
