"""The servers that are compared: Tracker, what it stands on, what one would write first, and nginx."""

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from .bare import DESTINATION
from .load import Report, load
from .ours import Ours, drained, free_port, new_folder
from .processes import cpu_seconds, family, running

_TOKEN = "x" * 57
_PATHS = {"pixel": [f"/o/{_TOKEN}.gif"], "click": [f"/c/{_TOKEN}"]}

_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    server {{
        listen 127.0.0.1:{port};
        location /o/ {{ empty_gif; }}
        location /c/ {{ return 302 {destination}; }}
    }}
}}
"""


class Round(NamedTuple):
    """One run of one server."""

    report: Report
    cpu_us: float
    """CPU of all processes per request, in microseconds."""


class Contender(NamedTuple):
    """A running server, and what to ask it for."""

    name: str
    origin: str
    paths: list[str]
    folder: Path
    pid: int
    ours: bool = False
    paused: bool = False
    """Whether its worker stands still meanwhile, and costs nothing."""

    def round(self, seconds: int) -> Round:
        """Load it, wait until nothing is left to do, and read what that cost."""
        pids = family(self.pid)
        with _standing_still(pids[1:] if self.paused else []):
            before = cpu_seconds(pids)
            report = load(self.origin, self.paths, self.folder, seconds=seconds)
            if self.ours and not self.paused:
                drained(self.origin)
            used = cpu_seconds(pids) - before
        if self.paused:
            drained(self.origin)
        return Round(report, used / report.requests * 1e6)


@contextlib.contextmanager
def _standing_still(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def ours(server: Ours, kind: str, count: int, *, paused: bool = False) -> Contender:
    """Tracker, asked for the pixels or the links of that many messages."""
    paths = server.pixels(count) if kind == "pixel" else server.clicks(count, DESTINATION)
    name = "Tracker, projector paused" if paused else "Tracker"
    return Contender(name, server.origin, paths, server.folder, server.pid, ours=True, paused=paused)


def bare(stack: contextlib.ExitStack, kind: str) -> Contender:
    """uvicorn alone."""
    return _started(stack, "bare uvicorn", kind, lambda port, _: [sys.executable, "-m", "benchmarks.bare", port, kind])


def naive(stack: contextlib.ExitStack, kind: str) -> Contender:
    """Starlette with a commit per request."""
    return _started(stack, "commit per request", kind, lambda port, _: [sys.executable, "-m", "benchmarks.naive", port])


def nginx(stack: contextlib.ExitStack, kind: str) -> Contender:
    """nginx with one worker, which writes its access log and stores nothing."""
    if shutil.which("nginx") is None:
        sys.exit("this contender needs nginx: apt-get install nginx-light, or leave it out with --without-nginx")
    return _started(stack, "nginx", kind, _nginx_command)


def _nginx_command(port: str, folder: Path) -> list[str]:
    # Its worker is nobody's process, and writes here.
    folder.chmod(0o777)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, destination=DESTINATION))
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _started(stack: contextlib.ExitStack, name: str, kind: str, command: Callable[[str, Path], list[str]]) -> Contender:
    folder, port = new_folder(stack), free_port()
    origin = f"http://127.0.0.1:{port}"
    process = stack.enter_context(running(command(str(port), folder), folder, port))
    return Contender(name, origin, _PATHS[kind], folder, process.pid)
