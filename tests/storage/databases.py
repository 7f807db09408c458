"""The databases that the stores are tested on: another one is one more factory."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tracker.storage.database import Database
from tracker.storage.installation import Files, prepare

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


FACTORIES: Mapping[str, Callable[[Path], AbstractAsyncContextManager[Databases]]] = {"sqlite": sqlite}
