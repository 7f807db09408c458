"""The slowest answers before, during and after faults: opens on 64 connections, and opt-outs beside them.

    python -m benchmarks.faults [--seconds 3] [--only WORD]

Every fault meets a server of its own. It is loaded by wrk for some seconds while all is well, as long again with the
fault, and as long again afterwards; four clients opt out meanwhile, with a short rest after each. The 99th percentiles
are those of all answers, whatever they say. It needs wrk, strace, and root to mount a disk that it can fill.
"""

import argparse
import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .load import Report, load
from .ours import free_port, new_folder
from .processes import answer, family, running, tracker

_CONNECTIONS, _BURST, _HALF_OPEN = 64, 640, 5_000
_MESSAGES, _CLIENTS, _REST_S = 500, 4, 0.01
_SETTINGS = {"TRACKER_CONNECTIONS_PER_ADDRESS": "10000"}
_DISK = "1g"


class OptOuts(NamedTuple):
    """How long they took in milliseconds, and how many were answered otherwise than with 200."""

    p99_ms: float
    bad: int


class Window(NamedTuple):
    """Some seconds of load."""

    opens: Report
    opt_outs: OptOuts


class Target:
    """A server with messages, which can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = free_port()
        self.origin = f"http://127.0.0.1:{self._port}"
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Target":
        self.start()
        made: Any = tracker("account", "create", "Benchmark", folder=self.folder)
        wanted = {"campaign": "faults", "recipients": [{"email": f"r{n}@example.com"} for n in range(_MESSAGES)]}
        messages: Any = answer(f"{self.origin}/v1/messages/batch", wanted, made["api_key"])
        self.opens = [urlsplit(one["open_url"]).path for one in messages["data"]]
        self._opt_outs = [urlsplit(one["unsubscribe_url"]).path for one in messages["data"]]
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def start(self) -> None:
        command = [sys.executable, "-m", "tracker", "serve", "--port", str(self._port)]
        settings = {**_SETTINGS, "TRACKER_BASE_URL": self.origin}
        process = self._stack.enter_context(running(command, self.folder, self._port, **settings))
        self.pid = process.pid

    def restart(self) -> None:
        """As an operator does who gives up on it."""
        os.kill(self.pid, signal.SIGKILL)
        self._stack.close()
        self.start()

    def worker(self) -> int:
        """The process id of its worker."""
        return family(self.pid)[1]

    def file(self, part: str) -> Path:
        """The main file, or the inbox."""
        return self.folder / ("tracker.db.inbox" if part == "inbox" else "tracker.db")

    def window(self, seconds: int, connections: int = _CONNECTIONS) -> Window:
        """Load it with opens and opt-outs."""
        stop, taken = threading.Event(), list[tuple[float, int]]()
        clients = [threading.Thread(target=self._opt_out, args=(n, stop, taken)) for n in range(_CLIENTS)]
        for client in clients:
            client.start()
        opens = load(self.origin, self.opens, self.folder, seconds=seconds, connections=connections)
        stop.set()
        for client in clients:
            client.join()
        times = [took for took, _ in taken]
        p99 = statistics.quantiles(times, n=100)[98] if len(times) > 1 else float("nan")
        return Window(opens, OptOuts(p99, sum(status != 200 for _, status in taken)))

    def _opt_out(self, first: int, stop: threading.Event, taken: list[tuple[float, int]]) -> None:
        connection, number = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30), first
        while not stop.is_set():
            began, status = time.perf_counter(), 0
            try:
                connection.request("POST", self._opt_outs[number % _MESSAGES], b"List-Unsubscribe=One-Click")
                reply = connection.getresponse()
                reply.read()
                status = reply.status
            except (OSError, http.client.HTTPException):
                connection.close()
            taken.append(((time.perf_counter() - began) * 1000, status))
            number += _CLIENTS
            time.sleep(_REST_S)


Fault = Callable[[Target], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def worker_killed(target: Target) -> Iterator[None]:
    """It dies at the beginning, and another is started."""
    os.kill(target.worker(), signal.SIGKILL)
    yield


@contextlib.contextmanager
def worker_stopped(target: Target) -> Iterator[None]:
    """It stands still."""
    worker = target.worker()
    os.kill(worker, signal.SIGSTOP)
    yield
    os.kill(worker, signal.SIGCONT)


def locked(part: str) -> Fault:
    """Another program holds one of the files."""

    @contextlib.contextmanager
    def fault(target: Target) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(target.file(part), isolation_level=None, timeout=10)) as other:
            other.execute("begin immediate")
            yield
            other.execute("rollback")

    return fault


@contextlib.contextmanager
def disk_full(target: Target) -> Iterator[None]:
    """All that is free is taken, and what becomes free as well."""
    filler, stop = target.folder / "filler", threading.Event()

    def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    while file.write(bytes(1 << 20)):
                        pass
                with contextlib.suppress(OSError):
                    while file.write(bytes(1 << 12)):
                        pass
                stop.wait(0.05)

    filling = threading.Thread(target=fill)
    filling.start()
    time.sleep(1)
    yield
    stop.set()
    filling.join()
    filler.unlink()


@contextlib.contextmanager
def disk_errors(target: Target) -> Iterator[None]:
    """Every sync of the inbox is answered with EIO; then the server is started again."""
    inbox = target.file("inbox")
    files = ("-P", str(inbox), "-P", f"{inbox}-wal")
    command = (
        "strace",
        "-f",
        "-p",
        str(target.pid),
        *files,
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:error=EIO",
    )
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        time.sleep(1)
        yield
        tracer.terminate()
    target.restart()


@contextlib.contextmanager
def half_open(target: Target) -> Iterator[None]:
    """Thousands of connections with half a request each; the server hangs up on them after ten seconds."""
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", urlsplit(target.origin).port or 0)
        for _ in range(_HALF_OPEN):
            one = stack.enter_context(socket.create_connection(address, timeout=10))
            one.sendall(b"GET /o/x.gif HTTP/1.1\r\nHost: t.exa")
        yield


@contextlib.contextmanager
def burst(_: Target) -> Iterator[None]:
    """Ten times as many connections."""
    yield


FAULTS: dict[str, Fault] = {
    "the worker is killed": worker_killed,
    "the worker stands still": worker_stopped,
    "the main file is locked": locked("main"),
    "the inbox is locked": locked("inbox"),
    "the disk is full": disk_full,
    "syncs fail with EIO, then a restart": disk_errors,
    "5,000 half-open connections": half_open,
    "640 connections instead of 64": burst,
}


def main() -> None:
    """Measure each fault and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="WORD", help="only faults whose name holds this")
    wanted = parser.parse_args()
    print(
        "| fault | opens, p99 in ms | opt-outs, p99 in ms | opens not 200 of all, during | opt-outs not 200, during |"
    )
    print("|---|---|---|---|---|")
    for name, fault in FAULTS.items():
        if wanted.only in name:
            _print_row(name, *_measured(fault, wanted.seconds))


def _measured(fault: Fault, seconds: int) -> tuple[Window, Window, Window]:
    connections = _BURST if fault is burst else _CONNECTIONS
    with contextlib.ExitStack() as stack:
        folder = new_folder(stack)
        if fault is disk_full:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        target = stack.enter_context(Target(folder))
        target.window(1)
        before = target.window(seconds)
        with fault(target):
            during = target.window(seconds, connections)
        return before, during, target.window(seconds)


def _print_row(name: str, *windows: Window) -> None:
    opens = " / ".join(f"{window.opens.p99_ms:.0f}" for window in windows)
    opt_outs = " / ".join(f"{window.opt_outs.p99_ms:.0f}" for window in windows)
    during, opt_out = windows[1]
    bad = f"{during.bad:,} of {during.requests:,}"
    print(f"| {name} | {opens} | {opt_outs} | {bad} | {opt_out.bad:,} |", flush=True)


if __name__ == "__main__":
    main()
