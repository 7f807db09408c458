"""What the worker tests stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.storage.databases import BOTH, FACTORIES, Databases
from tests.workers.storages import Storage


@pytest.fixture(params=BOTH)
async def databases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Databases]:
    """An installation on each database in turn."""
    async with FACTORIES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def storage() -> Storage:
    """Storage that works until a test says otherwise."""
    return Storage()
