"""Whoever connects and says nothing, says it slowly or says too much, takes nothing from readers."""

import asyncio
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import Account, Server, until
from tests.server.ledger import Ledger
from tests.server.load import Load
from tests.server.wire import Connection, written_request

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_CLOSED_WITHIN_S = 15.0
_WATCHED_S = 2.0
_KEPT_DESCRIPTORS = 200
_HALVES = (b"", b"G", b"GET /o/x.gif HTTP/1.1\r\nHost: t.example.com\r\nX-Pad: y", b"POST /u/x HTTP/1.1\r\nContent-")
_MOST_GROWTH = 4 << 20
_MANY = {"TRACKER_CONNECTIONS_PER_ADDRESS": "20000", "TRACKER_CONNECTIONS": "12000"}


@contextmanager
def half_open(port: int, number: int) -> Iterator[list[socket.socket]]:
    """So many connections, none of which has sent a whole request."""
    with ExitStack() as stack:
        sockets = []
        for at in range(number):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            one.sendall(_HALVES[at % len(_HALVES)])
            sockets.append(one)
        yield sockets


def descriptors_allowed(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _KEPT_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_half_open_connections_are_closed_and_readers_see_nothing_of_them(tmp_path: Path, number: int) -> None:
    """F17: with the settings as they are; opens are stored all the time, and every descriptor comes back."""
    descriptors_allowed(number)
    ledger = Ledger()
    async with Server(tmp_path / "data", settings=_MANY) as server:
        account = await server.create_account("north")
        async with Load(server, [account], ledger) as load:
            await load.grows(by=500)
            usual = server.descriptors()
            began = time.monotonic()
            with half_open(server.port, number) as sockets:
                await until(lambda: server.descriptors() >= usual + number * 0.9, within_s=20, what="all connected")
                connected_s = time.monotonic() - began
                await load.grows(by=500)
                closed_s = await until(
                    lambda: server.descriptors() < usual + number * 0.1, within_s=30, what="half-open ones closed"
                )
                await until(lambda: all(map(has_ended, sockets)), within_s=5, what="the rest")
            whole_s = time.monotonic() - began
        print(f"{number} connected in {connected_s:.1f} s, closed {closed_s:.1f} s later, {whole_s:.1f} s in all")
        assert whole_s < connected_s + _CLOSED_WITHIN_S
        await until(lambda: server.descriptors() <= usual, within_s=10, what="descriptors as before")
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


def has_ended(one: socket.socket) -> bool:
    """Whether the server has hung up; what it said before is read."""
    one.setblocking(False)
    try:
        return not one.recv(4_096) or not one.recv(4_096)
    except BlockingIOError:
        return False
    except OSError:
        return True


async def test_flood_beyond_the_open_files_takes_no_place_from_requests(tmp_path: Path) -> None:
    """F25: as many connections as there are files for; those that send nothing make room for those that do, and cost
    no time of the processor while they wait."""
    descriptors_allowed(1_000)
    program = ("bash", "-c", 'ulimit -n 256 && exec "$0" -m tracker "$@"', sys.executable)
    async with Server(tmp_path / "data", program=program, settings=_MANY) as server:
        account = await server.create_account("north")
        ledger = Ledger()
        with half_open(server.port, 1_000):
            async with Load(server, [account], ledger, readers=20) as load:
                await load.grows(by=500)
            assert server.descriptors() < 256
            before = server.processor_seconds()
            await asyncio.sleep(_WATCHED_S)
            assert server.processor_seconds() - before < _WATCHED_S / 2, "it must not go round in circles"
        async with Load(server, [account], ledger, readers=20) as load:
            await load.grows(by=500)
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)


@asynccontextmanager
async def endless(server: Server, account: Account, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A client that sends chunks as fast as they are taken, and never an end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = written_request("POST", path, {**account.authorization, "transfer-encoding": "chunked"}, b"")
    writer.write(head.replace(b"content-length: 0\r\n", b""))
    sending = asyncio.create_task(_chunks_without_end(writer))
    try:
        yield reader
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        writer.transport.abort()


async def _chunks_without_end(writer: asyncio.StreamWriter) -> None:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    while not writer.is_closing():
        writer.write(chunk)
        await writer.drain()


@pytest.mark.parametrize(("path", "status"), [("/v1/messages", 413), ("/v1/nothing", 404), ("/o/x.gif", 405)])
async def test_body_without_end_is_answered_and_then_ended(tmp_path: Path, path: str, status: int) -> None:
    """B-23: memory does not follow it, and the client that goes on has its time, not more."""
    settings = {"TRACKER_HEAD_SECONDS": "1", "TRACKER_BODY_SECONDS": "1"}
    async with Server(tmp_path / "data", settings=settings) as server:
        account = await server.create_account("north")
        async with Connection(server.port) as warm:
            body = b'{"campaign": "%s"}' % (b"x" * 5_242_000)
            await warm.ask("POST", "/v1/messages", headers=account.authorization, body=body)
        before = server.memory("VmHWM")
        async with endless(server, account, path) as reader:
            async with asyncio.timeout(10):
                assert int((await reader.readline()).split()[1]) == status
                began = time.monotonic()
                try:
                    while await reader.read(65_536):
                        pass
                except ConnectionError:
                    pass
        took_s, grown = time.monotonic() - began, server.memory("VmHWM") - before
        print(f"ended {took_s:.1f} s after the answer, memory grew by {grown / (1 << 20):.1f} MiB")
        assert took_s < 5
        assert grown < _MOST_GROWTH
        await expect_a_good_end(server)
