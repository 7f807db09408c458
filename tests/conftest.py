"""What holds for every test."""

import pytest
from hypothesis import settings

# How long an example takes says more about who else works on the machine than about us.
settings.register_profile("patient", settings(deadline=None))
settings.load_profile("patient")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The product runs on asyncio."""
    return "asyncio"
