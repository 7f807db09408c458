"""What the tests of the web stand on: an installation that is served, and a customer of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.serving import Customer, Served, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A new installation."""
    async with serving(tmp_path) as new:
        yield new


@pytest.fixture
async def customer(served: Served) -> Customer:
    """Its first customer."""
    return await served.customer()


@pytest.fixture(scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One installation for all tests of a module, for those that leave nothing behind."""
    async with serving(tmp_path_factory.mktemp("standing")) as one:
        yield one


@pytest.fixture(scope="module")
async def resident(standing: Served) -> Customer:
    """Its customer."""
    return await standing.customer()
