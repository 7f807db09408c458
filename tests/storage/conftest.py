"""The databases of the store tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.databases import BOTH, FACTORIES, Databases


@pytest.fixture(params=BOTH)
async def databases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Databases]:
    """An installation on each database in turn."""
    async with FACTORIES[request.param](tmp_path) as opened:
        yield opened
