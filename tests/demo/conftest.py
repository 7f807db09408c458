"""What the tests of the demo stand on."""

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """httpx and the server share asyncio's loop."""
    return "asyncio"
