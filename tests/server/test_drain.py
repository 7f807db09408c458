"""Told to stop, the server finishes what it has accepted and ends in time, whoever clings to it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import Account, Server, stopped_worker, until
from tests.server.ledger import Ledger
from tests.server.load import Load, message_request, new_name
from tests.server.locks import locked
from tests.server.stored import Deed, rows_of
from tests.server.wire import Connection, written_request

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_ENDS_WITHIN_S = 10.0


class Upload:
    """A message of which the server has the headers and the first half of the body."""

    def __init__(self, account: Account, ledger: Ledger) -> None:
        self._name = new_name("message")
        self._deed = Deed(account.id, "message", self._name)
        self._ledger = ledger
        headers, body = message_request(account, self._name)
        request = written_request("POST", "/v1/messages", {**headers, "connection": "close"}, body)
        self._half, self._rest = request[: -len(body) // 2], request[-len(body) // 2 :]

    async def begin(self, port: int) -> None:
        """Send the first half."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        self._ledger.send(self._deed)
        self._writer.write(self._half)
        await self._writer.drain()

    async def finish(self) -> int:
        """Send the rest, and give the status of the answer."""
        self._writer.write(self._rest)
        status = int((await self._reader.readline()).split()[1])
        self._ledger.answered(self._deed, status, 0.0)
        return status

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@asynccontextmanager
async def clinging(server: Server, account: Account, ledger: Ledger) -> AsyncIterator[Upload]:
    """Connections that never end by themselves, and an upload that will."""
    slow, stuck = Upload(account, ledger), Upload(account, ledger)
    async with Connection(server.port) as idle:
        await idle.ask("GET", "/livez")
        silent = socket.create_connection(("127.0.0.1", server.port))
        try:
            await slow.begin(server.port)
            await stuck.begin(server.port)
            yield slow
        finally:
            silent.close()
            await slow.close()
            await stuck.close()


def refuses(server: Server) -> bool:
    """Whether new connections are refused."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


@pytest.mark.parametrize("terminate", [Server.terminate, Server.terminate_group])
async def test_sigterm_drains_in_time_and_loses_nothing(tmp_path: Path, terminate: Callable[[Server], None]) -> None:
    """F12: under load, with a stuck upload and idle connections; a service manager may signal the whole group."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        async with Load(server, [account], ledger) as load, clinging(server, account, ledger) as slow:
            await load.grows(by=500)
            terminate(server)
            refused_s = await until(lambda: refuses(server), within_s=_ENDS_WITHIN_S, what="no new connections")
            assert await slow.finish() == 201, "what was accepted is answered"
            status, ended_s = await server.stopped(within_s=2 * _ENDS_WITHIN_S)
        print(f"refused after {refused_s:.2f} s, ended {refused_s + ended_s:.2f} s after the signal")
        assert status == 0, server.log()
        assert refused_s + ended_s < _ENDS_WITHIN_S
        await server.start()
        await expect_nothing_lost(server, ledger)


async def test_sigterm_ends_in_time_while_the_inbox_is_locked(tmp_path: Path) -> None:
    """F12, F07: what cannot be stored was promised to nobody; the end is as quiet as any other."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        async with Load(server, [account], ledger) as load:
            await load.grows(by=200)
            with locked(server.inbox):
                await server.health_when(lambda state: state["storage"] != "ok", within_s=10)
                server.terminate()
                status, ended_s = await server.stopped(within_s=2 * _ENDS_WITHIN_S)
        print(f"ended {ended_s:.2f} s after the signal")
        assert status == 0, server.log()
        assert ended_s < _ENDS_WITHIN_S
        await server.start()
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_sigterm_ends_in_time_while_the_main_file_is_locked(tmp_path: Path) -> None:
    """F12, F07: each message waits for the lock in vain; they do so together, not one after the other."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        with locked(server.main):
            uploads = [Upload(account, ledger) for _ in range(20)]
            for upload in uploads:
                await upload.begin(server.port)
            answers = asyncio.gather(*(upload.finish() for upload in uploads))
            server.terminate()
            assert await answers == [503] * len(uploads)
            status, ended_s = await server.stopped(within_s=2 * _ENDS_WITHIN_S)
        print(f"ended {ended_s:.2f} s after the last answer")
        assert status == 0, server.log()
        assert ended_s < _ENDS_WITHIN_S
        for upload in uploads:
            await upload.close()
        await server.start()
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


async def test_what_the_worker_leaves_is_projected_at_the_next_start(tmp_path: Path) -> None:
    """F12: the worker stands still and is killed in the end; its rest stays in the journal, and nowhere else."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        async with Load(server, [account], ledger) as load, stopped_worker(server):
            await load.grows(by=500)
            server.terminate()
            status, ended_s = await server.stopped(within_s=2 * _ENDS_WITHIN_S)
        print(f"ended {ended_s:.2f} s after the signal")
        assert status == 0, server.log()
        assert ended_s < _ENDS_WITHIN_S
        assert rows_of(server.inbox, "select count(*) from journal")[0][0] > 0
        await server.start()
        await expect_nothing_lost(server, ledger)
