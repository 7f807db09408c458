"""A Tracker of our own with one account, to be measured."""

import contextlib
import shutil
import socket
import sys
import tempfile
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from tracker.domain.ids import parse_id
from tracker.domain.links import ClickKey

from .processes import answer, running, tracker
from .report import say

_CAMPAIGNS = 5
_BATCH = 10_000


class Ours(NamedTuple):
    """A running server, and an API key of its one account."""

    origin: str
    key: str
    account: str
    pid: int
    folder: Path

    def pixels(self, count: int) -> list[str]:
        """The paths of the pixels of this many new messages in five campaigns."""
        return [
            urlsplit(str(message["open_url"])).path
            for campaign in range(_CAMPAIGNS)
            for first in range(campaign, count, _CAMPAIGNS * _BATCH)
            for message in self._messages(campaign, range(first, count, _CAMPAIGNS)[:_BATCH])
        ]

    def clicks(self, count: int, destination: str) -> list[str]:
        """The paths of a link in each of this many new messages, signed as a customer's mailer signs them."""
        given: Any = answer(f"{self.origin}/v1/link-key", key=self.key)
        secret = urlsafe_b64decode(given["key"] + "=")
        key = ClickKey(number=given["key_id"], account=bytes.fromhex(given["account"]), key=secret)
        ids = [parse_id(message["id"]) for message in self._messages(0, range(count))]
        return [f"/c/{key.sign_click(identifier, 1, destination)}" for identifier in ids]

    def _messages(self, campaign: int, readers: range) -> list[Any]:
        recipients = [{"email": f"reader{reader}@example.com"} for reader in readers]
        wanted = {"campaign": f"campaign-{campaign}", "recipients": recipients}
        made: Any = answer(f"{self.origin}/v1/messages/batch", wanted, self.key)
        return list(made["data"])


def started(
    stack: contextlib.ExitStack, folder: Path | None = None, options: Sequence[str] = (), **environment: Any
) -> Ours:
    """A server in a folder of its own, or in one that is given, until the stack is closed.

    ``options`` are those of ``tracker serve``, ``environment`` its settings.
    """
    folder, port = folder or new_folder(stack), free_port()
    origin = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tracker", "serve", "--port", str(port), *options]
    process = stack.enter_context(running(command, folder, port, TRACKER_BASE_URL=origin, **environment))
    made = _account(folder, **environment)
    return Ours(origin, made["api_key"], made["account"]["id"], process.pid, folder)


def _account(folder: Path, **environment: str) -> Any:
    """Its account and key, which a folder that is kept remembers."""
    kept = folder / "account.json"
    if not kept.exists():
        kept.write_bytes(msgspec.json.encode(tracker("account", "create", "Benchmark", folder=folder, **environment)))
    return msgspec.json.decode(kept.read_bytes())


def filled(stack: contextlib.ExitStack, keep: Path | None, name: str, fill: Callable[[Ours], None]) -> Ours:
    """A server whose database ``fill`` has filled; with a folder to keep it in, it is filled once and found again.

    Nothing asks for anything while it is filled. What is half filled is begun anew.
    """
    folder = keep / name if keep is not None else new_folder(stack)
    if folder.exists() and not (folder / "filled").exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "filled").exists():
        began = time.perf_counter()
        with contextlib.ExitStack() as filling:
            fill(started(filling, folder))
        (folder / "filled").touch()
        say(f"{name}: filled in {time.perf_counter() - began:.0f} s")
    return started(stack, folder)


def new_folder(stack: contextlib.ExitStack) -> Path:
    """A folder that goes with the stack."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def drained(origin: str) -> None:
    """Wait until the worker has made events of all that was recorded."""
    while True:
        state: Any = answer(f"{origin}/readyz")
        if state["projector_lag_seconds"] == 0:
            return
        time.sleep(0.1)
