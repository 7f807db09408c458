"""What the tests of the web stand on: an installation that is served, and a customer of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.databases import BOTH
from tests.web.serving import Customer, Served, serving_on


@pytest.fixture(params=BOTH)
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    """A new installation, on each database in turn."""
    async with serving_on(request.param, tmp_path) as new:
        yield new


@pytest.fixture
async def customer(served: Served) -> Customer:
    """Its first customer."""
    return await served.customer()


@pytest.fixture(scope="module", params=BOTH)
async def standing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One installation for all tests of a module, for those that leave nothing behind."""
    async with serving_on(request.param, tmp_path_factory.mktemp("standing")) as one:
        yield one


@pytest.fixture(scope="module")
async def resident(standing: Served) -> Customer:
    """Its customer."""
    return await standing.customer()
