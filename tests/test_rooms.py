"""Which room may import which, and which libraries stay behind which fence."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tracker"

ROOMS_TO_THE_LEFT = {
    "domain": set[str](),
    "mail": {"domain"},
    "storage": {"domain"},
    "workers": {"domain", "storage"},
    "web": {"domain", "mail", "storage", "workers"},
    "settings": set[str](),
    "app": {"domain", "storage", "workers", "web", "settings"},
    "demo": {"domain", "mail", "web"},
    "cli": {"domain", "mail", "storage", "workers", "web", "settings", "app", "demo"},
    "__main__": {"cli"},
    "__init__": set[str](),
}

FENCES = {
    "starlette": {"web", "app.py"},
    "aiosqlite": {"storage/sqlite.py"},
    "sqlite3": {"storage/sqlite.py", "storage/snapshots.py"},
    "tarfile": {"storage/archives.py"},
    "asyncpg": {"storage/postgresql.py"},
    "aiosql": {"storage/statements.py"},
    "httpx": {"demo", "workers/transport.py", "client.py", "cli/list_client.py"},
    "uvicorn": {"cli"},
    "click": {"cli"},
    "jinja2": {"web"},
    "prometheus_client": {"web/measures.py", "web/metrics.py"},
    "ada_url": {"domain/destinations.py"},
    "itsdangerous": {"domain"},
    "ua_parser": {"domain/clients.py"},
    "email_validator": {"domain/addresses.py"},
    "idna": {"domain/addresses.py", "domain/destinations.py"},
    "selectolax": set[str](),
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def inside(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[bool, str]]:
    """Every import of a module, those hidden in functions too: whether it is of this package, and what."""
    depth = len(path.relative_to(PACKAGE).parts) - 1
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0] == "tracker", alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0] == "tracker", node.module or ""
        elif isinstance(node, ast.ImportFrom) and node.level > depth:
            yield from ((True, node.module or alias.name) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=inside)
def test_arrows_point_one_way(path: Path) -> None:
    """A module imports its own room and the rooms to its left, and names them relatively."""
    for ours, name in imported(path):
        assert not name.startswith("tracker"), f"{inside(path)} imports {name}: write it relatively"
        if ours and name != "__version__":
            assert name.split(".")[0] in ROOMS_TO_THE_LEFT[room_of(path)] | {room_of(path)}, f"{inside(path)}: {name}"


@pytest.mark.parametrize("path", MODULES, ids=inside)
def test_libraries_stay_behind_their_fences(path: Path) -> None:
    """What a library is used for, one room knows; moving away from it is a change of that room."""
    for ours, name in imported(path):
        allowed = None if ours else FENCES.get(name.split(".")[0])
        if allowed is not None:
            assert any(inside(path) == fence or inside(path).startswith(f"{fence}/") for fence in allowed), name


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) != "storage"], ids=inside)
def test_sql_is_written_in_the_storage_room_alone(path: Path) -> None:
    """No statement hides in a string elsewhere."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            first = node.value.lstrip().lower()
            assert not first.startswith(("select ", "insert into ", "update ", "delete from ")), node.value


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in ("domain", "mail")], ids=inside)
def test_the_domain_reads_no_clock_and_no_file(path: Path) -> None:
    """What is true without a computer: no input, no output, no time of day."""
    names = {name for ours, name in imported(path) if not ours}
    assert not names & {"time", "asyncio", "pathlib", "socket", "subprocess", "logging", "threading"}, names
