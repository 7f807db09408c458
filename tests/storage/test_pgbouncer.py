"""A pooler between us and PostgreSQL, in session mode."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.postgres import Server, shared_server
from tests.storage.databases import SECRETS, Databases
from tests.storage.samples import ACCOUNT, a_hit, add_accounts, rows_of
from tracker.storage.messages import Messages
from tracker.storage.projections import Projections
from tracker.storage.shared import SharedDatabase
from tracker.storage.shared_journal import SharedJournal
from tracker.workers.projector import Projector

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.fault]


@contextmanager
def pgbouncer(server: Server) -> Iterator[int]:
    """The port of one that keeps twenty connections to this server."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        assert not os.environ.get("CI"), "PgBouncer is not installed, and here every test has to run"
        pytest.skip("PgBouncer is NOT TESTED: install it (Debian: pgbouncer)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    settings = server.home / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = session\ndefault_pool_size = 20\n"
    )
    settings.chmod(0o644)
    user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None
    process = subprocess.Popen([program, "-q", str(settings)], user=user, stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait()


async def test_pooler_in_session_mode_changes_nothing() -> None:
    """Settings of the session, prepared statements and the lock of the projector are as without it."""
    server = shared_server()
    name = await server.create()
    with pgbouncer(server) as port:
        shared = SharedDatabase(f"postgresql://postgres@127.0.0.1:{port}/{name}")
        await shared.prepare(SECRETS)
        async with shared.main_database() as main, shared.inbox_database() as inbox:
            databases = Databases(main, inbox)
            await add_accounts(databases, ACCOUNT)
            journal = SharedJournal(inbox)
            await journal.append([a_hit(), a_hit()])
            async with shared.alone(1):
                await Projector(journal, Messages(main), Projections(main)).turn()
            assert len(await rows_of(databases, "events")) == 2
            found = await main.fetch("select current_setting('statement_timeout') as t")
            assert found[0]["t"] == "10s"
    await server.drop(name)
