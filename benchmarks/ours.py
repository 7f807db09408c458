"""A Tracker of our own with one account, to be measured."""

import contextlib
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .processes import answer, running, tracker


class Ours(NamedTuple):
    """A running server, and an API key of its one account."""

    origin: str
    key: str
    account: str
    pid: int
    folder: Path

    def pixels(self, count: int) -> list[str]:
        """The paths of the pixels of this many new messages in five campaigns."""
        return [self._pixel(number) for number in range(count)]

    def _pixel(self, number: int) -> str:
        wanted = {"campaign": f"campaign-{number % 5}", "recipient": {"email": f"reader{number}@example.com"}}
        made: Any = answer(f"{self.origin}/v1/messages", wanted, self.key)
        return urlsplit(str(made["open_url"])).path


def started(stack: contextlib.ExitStack, *options: str, **environment: str) -> Ours:
    """A server in a folder of its own, until the stack is closed. ``environment`` are settings of it."""
    folder, port = new_folder(stack), free_port()
    origin = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tracker", "serve", "--port", str(port), *options]
    process = stack.enter_context(running(command, folder, f"{origin}/readyz", TRACKER_BASE_URL=origin, **environment))
    made: Any = tracker("account", "create", "Benchmark", folder=folder, **environment)
    return Ours(origin, made["api_key"], made["account"]["id"], process.pid, folder)


def new_folder(stack: contextlib.ExitStack) -> Path:
    """A folder that goes with the stack."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
