"""A throw-away PostgreSQL, of the programs that are installed; everything of it is gone when the tests are."""

import atexit
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

_DEBIAN = Path("/usr/lib/postgresql")
_START_WITHIN_S = 30.0
_FAST: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests of logic alone: none of what is stored has to outlive anything."""

_MEMORY = Path("/dev/shm")

_databases = count(1)


class Server:
    """A cluster in a folder of its own, inside of ``place``. ``settings`` are those of ``postgresql.conf``."""

    def __init__(self, programs: Path, settings: Mapping[str, str], place: Path | None) -> None:
        self._programs = programs
        self._settings = settings
        self.home = Path(tempfile.mkdtemp(prefix="tracker-postgres-", dir=place))
        self._user = _unprivileged()
        if self._user:
            os.chown(self.home, self._user["user"], self._user["group"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.run("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Start, and return once it answers."""
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.home),
            "max_connections": "200",
            **self._settings,
        }
        given = " ".join(f"-c {name}={value}" for name, value in options.items())
        self.run("pg_ctl", "-D", "data", "-w", "-t", f"{_START_WITHIN_S:.0f}", "-l", "log", "-o", given, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop: ``fast``, or ``immediate``, which is a crash."""
        self.run("pg_ctl", "-D", "data", "-w", "-m", mode, "stop")

    def restart(self, mode: str) -> None:
        """Stop that way, and start."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """End it in whatever state it is, and leave nothing."""
        try:
            pid = int((self.home / "data" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)
            _wait_for_the_end(pid)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            pass
        deadline = time.monotonic() + _START_WITHIN_S
        while self.home.exists() and time.monotonic() < deadline:
            # Its processes may write a last word while they end.
            shutil.rmtree(self.home, ignore_errors=True)
            time.sleep(0.02)

    def url(self, database: str) -> str:
        """What a client says to reach a database of it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def log(self) -> str:
        """What it said."""
        return (self.home / "log").read_text("utf-8", "replace")

    async def create(self, *, template: str = "template0") -> str:
        """A new database, as that one is; its name."""
        name = f"test{next(_databases)}_{os.getpid()}"
        await self.administer(f"create database {name} template {template} strategy file_copy")
        return name

    async def drop(self, database: str) -> None:
        """End a database with all its connections."""
        await self.administer(f"drop database {database} with (force)")

    async def administer(self, statement: str) -> None:
        """Run one statement beside everybody's databases."""
        connection: Any = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, in the folder of the cluster."""
        command: Sequence[str] = (str(self._programs / program), *arguments)
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, check=False, **self._user)
        if done.returncode != 0:
            log = self.home / "log"
            raise RuntimeError(f"{program} failed: {done.stderr}{log.read_text() if log.exists() else ''}")


def a_server(settings: Mapping[str, str] | None = None, place: Path | None = None) -> Server:
    """A started server of one's own, to be removed; skips the test where PostgreSQL is not installed."""
    server = Server(_programs(), settings or {}, place)
    server.start()
    return server


@functools.cache
def shared_server() -> Server:
    """One for all tests of logic, which work in databases of their own."""
    server = a_server(_FAST, _MEMORY if os.access(_MEMORY, os.W_OK) else None)
    atexit.register(server.remove)
    return server


def _programs() -> Path:
    """Where ``initdb`` is: ``PG_BIN``, the search path, or the latest of Debian's packages."""
    if given := os.environ.get("PG_BIN"):
        return Path(given)
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    packages = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if packages:
        return packages[-1].parent
    if os.environ.get("CI"):
        raise RuntimeError("PostgreSQL is not installed, and here every test has to run")
    pytest.skip("PostgreSQL is NOT TESTED: install its server (Debian: postgresql), or say in PG_BIN where initdb is")


def _unprivileged() -> dict[str, Any]:
    """Whose processes they are: the server refuses to run as root."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _wait_for_the_end(pid: int) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        time.sleep(0.02)
