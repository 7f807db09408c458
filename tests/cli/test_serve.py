"""One command serves: it says where, refuses what cannot work, and ends as it was told to."""

import asyncio
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.cli.conftest import Run
from tests.server.harness import TRACKER, Server, environment, until
from tests.server.wire import Connection, written_request
from tests.storage.databases import new_database
from tracker.app import create_app
from tracker.cli.server import run as run_server
from tracker.domain.keys import Keyring, new_secret
from tracker.settings import Settings
from tracker.storage.installation import files_of
from tracker.storage.locks import FileLock, Locked

pytestmark = pytest.mark.anyio

_KEYS = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A free port of this machine that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_serve_alone_makes_what_it_needs_and_says_what_to_do(tmp_path: Path) -> None:
    """In an empty folder, on a socket handed over by a service manager, told to a person."""
    log = (tmp_path / "log").open("wb")
    folder = tmp_path / "empty"
    folder.mkdir()
    with listening() as listener, log:
        port, fd = listener.getsockname()[1], listener.fileno()
        process = subprocess.Popen(
            (*TRACKER, "serve", "--fd", str(fd)),
            cwd=folder,
            env=environment({"TRACKER_BASEURL": "https://t.example.com"}),
            pass_fds=[fd],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30).status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
    said = (tmp_path / "log").read_text()
    assert "Created the database tracker.db with its inbox and signing keys." in said
    assert f"Tracker listens on http://127.0.0.1:{port}; links begin with http://127.0.0.1:8000." in said
    assert "tracker account create NAME" in said
    assert '"level":"warning"' in said
    assert "TRACKER_BASE_URL is not https" in said
    assert said.count("TRACKER_BASEURL is no setting and is ignored: did you mean TRACKER_BASE_URL?") == 1
    assert "Aborted" not in said
    assert "Traceback" not in said
    for name in ("tracker.db", "tracker.db.inbox", "tracker.db.keys"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def wait_for_worker(lock: Path) -> None:
    """On a busy machine it may take longer to start than it is given to end."""
    deadline = time.monotonic() + 30
    with suppress(Locked):
        while time.monotonic() < deadline:
            with FileLock(lock):
                pass
            time.sleep(0.1)  # it asks for the lock more often than this
        pytest.fail("the worker does not start")


def test_address_is_told_to_programs(tmp_path: Path) -> None:
    """One line of JSON, and whoever connects from then on is answered; over https there is nothing to warn of."""
    settings = {"TRACKER_BASE_URL": "https://t.example.com/", "TRACKER_DATABASE_URL": "sqlite:///data.db"}
    process = subprocess.Popen(
        (*TRACKER, "serve", "--port", "0", "--json"),
        cwd=tmp_path,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = msgspec.json.decode(process.stdout.readline())
        port = int(said["address"].rpartition(":")[2])
        assert httpx.get(f"{said['address']}/readyz", timeout=30).status_code == 200
        wait_for_worker(tmp_path / "data.db.worker.lock")
        process.terminate()
        rest, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert said == {
        "address": f"http://127.0.0.1:{port}",
        "base_url": "https://t.example.com",
        "database": "data.db",
        "created": True,
    }
    assert (process.returncode, rest, errors) == (0, b"", b"")


def test_second_server_on_a_file_is_refused(run: Run, folder: Path) -> None:
    """One at a time works on an SQLite file; the file is named and nothing is touched."""
    with FileLock(files_of("sqlite:///tracker.db").server_lock):
        run("serve", "--port", "0").failed_with("tracker.db is served by another process already")
    assert [path.name for path in folder.iterdir()] == ["tracker.db.serve.lock"]


def test_several_processes_on_a_file_are_refused(run: Run, folder: Path) -> None:
    """With a sentence that says why, and what to do; nothing is made."""
    run("serve", "--workers", "2").failed_with("--workers is for PostgreSQL", "tracker copy")
    assert list(folder.iterdir()) == []


def test_driver_that_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: most installations need none."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "tracker.storage.postgresql", raising=False)
    monkeypatch.setenv("TRACKER_DATABASE_URL", "postgresql://tracker:secret@127.0.0.1:1/tracker")
    monkeypatch.setenv("TRACKER_SECRET_KEYS", _KEYS)
    ran = run("serve", "--port", "0")
    ran.failed_with("pip install 'tracker[postgres]'")
    assert "secret" not in ran.err


@pytest.mark.parametrize("rest", [":abc/tracker", ":1/tracker?sslmode=bogus"])
def test_url_that_says_nothing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    """No waiting repairs it."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", f"postgresql://tracker:secret@127.0.0.1{rest}")
    monkeypatch.setenv("TRACKER_SECRET_KEYS", _KEYS)
    ran = run("serve", "--port", "0")
    ran.failed_with("TRACKER_DATABASE_URL is no URL")
    assert "secret" not in ran.err


def test_keys_of_a_shared_database_are_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie in no file that only one node has."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", "postgresql://tracker@127.0.0.1:1/tracker")
    run("serve", "--port", "0").failed_with("set TRACKER_SECRET_KEYS to the same on each")


def test_backup_of_a_shared_database_is_left_to_its_tools(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the password stays out of the sentence."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", "postgresql://tracker:secret@127.0.0.1:1/tracker")
    ran = run("backup", "file.tar")
    ran.failed_with("pg_dump")
    assert "secret" not in ran.err


@pytest.mark.postgres
async def test_processes_of_one_node_share_its_port_and_end_together(tmp_path: Path) -> None:
    """One that dies is started again; the other answers meanwhile."""
    async with new_database() as url:
        settings = {"TRACKER_DATABASE_URL": url, "TRACKER_SECRET_KEYS": _KEYS}
        async with Server(tmp_path / "node", settings=settings, options=("--workers", "2")) as server:
            await until(lambda: len(server.children()) == 2, within_s=20, what="two processes")
            await server.caught_up()
            victim = server.children()[0]
            os.kill(victim, signal.SIGKILL)
            await until(
                lambda: len(server.children()) == 2 and victim not in server.children(), within_s=20, what="another"
            )
            assert (await server.ask("GET", "/readyz")).status == 200
            await server.stop()


def test_taken_port_is_named(run: Run, folder: Path) -> None:
    """Before any database is made."""
    with listening() as listener:
        port = str(listener.getsockname()[1])
        run("serve", "--port", port).failed_with(f"127.0.0.1 port {port}", "--port")
    assert not (folder / "tracker.db").exists()


def test_address_of_another_machine_is_named(run: Run) -> None:
    """What cannot be listened on is said with its reason."""
    run("serve", "--host", "203.0.113.1", "--port", "0").failed_with("203.0.113.1")
    run("serve", "--host", "::ffff:203.0.113.1", "--port", "0").failed_with("203.0.113.1")


def test_descriptor_that_is_no_socket_is_named(run: Run, tmp_path: Path) -> None:
    """Service managers hand over sockets; a mistake is an error, not a traceback."""
    run("serve", "--fd", "987").failed_with("descriptor 987")
    with (tmp_path / "file").open("w") as file:
        run("serve", "--fd", str(os.dup(file.fileno()))).failed_with("descriptor")
    with socket.socket(socket.AF_UNIX) as other:
        run("serve", "--fd", str(os.dup(other.fileno()))).failed_with("no TCP socket")


def test_part_that_cannot_be_opened_ends_the_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What fails after all checks, such as a file that has just gone, is an error and no silence."""
    settings = Settings(database_url=f"sqlite:///{folder}/gone/tracker.db")
    app = create_app(settings, Keyring({1: new_secret()}))
    with listening() as listener, pytest.raises(Exception, match="the server could not start"):
        run_server(settings, app, listener)


async def test_commands_work_beside_a_running_server(tmp_path: Path) -> None:
    """A new account, a new key, a revoked key: they hold once the command has printed it."""
    async with Server(tmp_path / "here") as server:
        account = await server.create_account("Larkspur")
        assert (await server.ask("GET", "/v1/events", headers=account.authorization)).status == 200
        identifier = account.authorization["authorization"].split("_")[1]
        for command in (("key", "revoke", identifier), ("check", "--json"), ("migrate", "--json")):
            done = await asyncio.to_thread(
                subprocess.run, (*TRACKER, *command), cwd=server.folder, env=environment({}), capture_output=True
            )
            assert done.returncode == 0, done.stderr
        assert (await server.ask("GET", "/v1/events", headers=account.authorization)).status == 401
        refused = await asyncio.to_thread(
            subprocess.run,
            (*TRACKER, "serve", "--port", "0"),
            cwd=server.folder,
            env=environment({}),
            capture_output=True,
            text=True,
        )
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "tracker.db is served by another process already" in refused.stderr
        assert (await server.health())["status"] == "ok"


async def test_sigterm_ends_in_time_whoever_clings(tmp_path: Path) -> None:
    """An idle connection and a stuck upload do not hold it longer than it was given (F12)."""
    async with Server(tmp_path / "here", settings={"TRACKER_DRAIN_SECONDS": "1"}) as server:
        account = await server.create_account("Larkspur")
        async with Connection(server.port) as idle:
            assert (await idle.ask("GET", "/livez")).status == 200
            headers = {**account.authorization, "content-length": "1000"}
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(written_request("POST", "/v1/messages", headers, b"{"))
            await writer.drain()
            began = time.monotonic()
            server.terminate()
            status, _ = await server.stopped(within_s=10)
            writer.close()
        assert status == 0, server.log()
        assert 1 <= time.monotonic() - began < 5
        (said,) = [line for line in server.log().splitlines() if "base_url" not in line.lower()]
        assert "the time to drain was up before all had ended; requests cut: 1" in said


async def test_worker_ends_with_the_server(tmp_path: Path) -> None:
    """However the server ends: the pipe between them closes, and nothing is left behind."""
    async with Server(tmp_path / "here") as server:
        worker = server.worker()
        assert worker is not None
        server.kill()
        await until(lambda: not Path(f"/proc/{worker}").exists(), within_s=10, what="the worker's end")
        await server.start()
        assert (await server.health())["status"] == "ok"


async def test_worker_that_dies_is_started_again(tmp_path: Path) -> None:
    """Meanwhile the server says that it is degraded; nothing that was accepted is lost."""
    async with Server(tmp_path / "here") as server:
        old = server.signal_worker(signal.SIGKILL)
        await server.health_when(lambda state: state["status"] == "degraded", within_s=10)
        assert await server.worker_other_than(old) != old
        await server.caught_up()
        assert re.search(r"the worker ended with status -9 and is started again", server.log())
