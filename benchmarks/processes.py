"""Starts the servers that are compared, and reads what they used."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec

_ROOT = Path(__file__).parents[1]
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(command: list[str], folder: Path, port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a folder of its own, from the moment it listens on its port to its end by SIGTERM."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=_environment(**environment))
    try:
        _wait_for(port, process, folder)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


@contextlib.contextmanager
def working(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The worker of an installation, without a server, until its standard input closes."""
    command = [sys.executable, "-m", "tracker", "worker"]
    with (folder / "worker.log").open("ab") as log:
        worker = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=log, env=_environment())
    try:
        yield worker
    finally:
        worker.communicate(timeout=30)


def tracker(*arguments: str, folder: Path, **environment: str) -> object:
    """What a command of Tracker prints with ``--json``."""
    command = [sys.executable, "-m", "tracker", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True, env=_environment(**environment))
    return msgspec.json.decode(done.stdout)


def family(pid: int) -> list[int]:
    """A process and its children, as long as they live."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def cpu_seconds(pids: list[int]) -> float:
    """What these processes have used, in user and kernel mode."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS_A_SECOND


def answer(url: str, body: object = None, key: str = "") -> object:
    """The JSON that a URL answers with."""
    request = urllib.request.Request(url, method="GET" if body is None else "POST")
    if body is not None:
        request.data = msgspec.json.encode(body)
        request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return msgspec.json.decode(response.read())


def _environment(**environment: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT), **environment}


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path, patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"the server did not listen on port {port}:\n{(folder / 'server.log').read_text()[-2000:]}")
