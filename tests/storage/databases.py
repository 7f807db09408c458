"""The databases that the stores are tested on: another one is one more factory."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.postgres import shared_server
from tracker.storage.database import Database
from tracker.storage.installation import Files, prepare
from tracker.storage.shared import SharedDatabase

SECRETS = {1: bytes(range(32))}


class Databases(NamedTuple):
    """An opened installation without accounts. ``main`` reads what is in ``inbox`` too."""

    main: Database
    inbox: Database


_MADE: dict[str, bytes] = {}
"""The files of a new installation: made once, since nearly every test begins with them."""


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Databases]:
    """Two files in the folder."""
    files = Files(folder / "tracker.db")
    if not _MADE:
        await prepare(files, SECRETS)
        _MADE.update({path.name: path.read_bytes() for path in (files.main, files.inbox)})
    for name, content in _MADE.items():
        (folder / name).write_bytes(content)
    async with files.main_database() as main, files.inbox_database() as inbox:
        yield Databases(main, inbox)


_TEMPLATES: dict[int, str] = {}
"""The database of a new installation by the port of its server: made once, and copied."""


@asynccontextmanager
async def postgresql(_: Path) -> AsyncIterator[Databases]:
    """A database of its own."""
    async with new_database() as url:
        shared = SharedDatabase(url)
        shared.usable = True
        async with shared.main_database() as main, shared.inbox_database() as inbox:
            yield Databases(main, inbox)


@asynccontextmanager
async def new_database() -> AsyncIterator[str]:
    """The URL of a new installation in a database of its own, which goes afterwards."""
    server = shared_server()
    if server.port not in _TEMPLATES:
        template = await server.create()
        await SharedDatabase(server.url(template)).prepare(SECRETS)
        _TEMPLATES[server.port] = template
    name = await server.create(template=_TEMPLATES[server.port])
    try:
        yield server.url(name)
    finally:
        await server.drop(name)


FACTORIES: Mapping[str, Callable[[Path], AbstractAsyncContextManager[Databases]]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
}

FILES_ALONE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
"""For a test of what files are, or of how SQLite does something."""

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
"""The parameters of a fixture that takes each in turn."""
