"""Starts the real server in a folder of its own, kills it, stops it, and looks at its processes."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.server.wire import Answer, NoAnswer, NotSent, ask

PROJECT = Path(__file__).parents[2]
TRACKER = (sys.executable, "-m", "tracker")

_POLL_S = 0.02
_START_WITHIN_S = 30.0


def broken(how: str) -> tuple[str, ...]:
    """The program with one of its promises broken, to see that a test notices."""
    return (sys.executable, str(PROJECT / "tests" / "server" / "broken.py"), how)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours, with no settings but those of ``extra``, and with the project where Python finds it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
    places = [str(PROJECT), *inherited.get("PYTHONPATH", "").split(os.pathsep)]
    return {**inherited, "PYTHONPATH": os.pathsep.join(filter(None, places)), **extra}


async def until(condition: Callable[[], bool], *, within_s: float, what: str) -> float:
    """Wait for a state, and give the seconds it took. Raises ``TimeoutError``, which says ``what`` did not happen."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        await asyncio.sleep(_POLL_S)
    return time.monotonic() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account made at the command line, with the key it was given."""

    id: str
    authorization: Mapping[str, str]


class Server:
    """``tracker serve`` as its operator starts it. Its folder is also where its database lies."""

    def __init__(
        self,
        folder: Path,
        *,
        program: Sequence[str] = TRACKER,
        settings: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.main = folder / "tracker.db"
        self.inbox = folder / "tracker.db.inbox"
        self.port = 0
        self._program = program
        self._options = options
        self._environment = environment(settings or {})
        # Beside the folder, which a test may fill to the brim.
        self._output = folder.with_name(f"{folder.name}.out")
        self._log = folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._process is not None:
            worker = self.worker()
            self.kill()
            if worker is not None:
                # It ends by itself when the server does, unless a test has stopped it.
                _send(worker, signal.SIGCONT)
                await until(lambda: _command(worker) == "", within_s=10, what="the worker's end")

    async def start(self) -> float:
        """Start on the port of last time, and give the seconds until it was ready."""
        began = time.monotonic()
        self._process = self._spawned()
        await until(lambda: self._spoke() or self.ended(), within_s=_START_WITHIN_S, what="the server's start")
        assert not self.ended(), f"the server did not start: {self.log()}"
        self.port = int(json.loads(self._output.read_bytes())["address"].rpartition(":")[2])
        await self.health_when(lambda _: True, within_s=_START_WITHIN_S)
        return time.monotonic() - began

    def kill(self) -> None:
        """As the kernel does when memory is short: at once, without a word."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def terminate(self) -> None:
        """Ask it to stop."""
        self._running().terminate()

    def terminate_group(self) -> None:
        """Ask it and its worker to stop, both at once, as a service manager does."""
        os.killpg(self._running().pid, signal.SIGTERM)

    async def stopped(self, *, within_s: float) -> tuple[int, float]:
        """Its exit status, and the seconds it took to come."""
        process = self._running()
        took_s = await until(self.ended, within_s=within_s, what="the server's exit")
        self._process = None
        return process.wait(), took_s

    async def stop(self) -> None:
        """Stop it and see that it ends well."""
        self.terminate()
        status, _ = await self.stopped(within_s=20)
        assert status == 0, self.log()

    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    def children(self) -> list[int]:
        """The process ids of those it started."""
        pid = self._running().pid
        return [one for one in _processes() if _parent(one) == pid]

    def worker(self) -> int | None:
        """The process id of its worker; None while it has none."""
        return next((one for one in self.children() if _command(one).endswith("worker")), None)

    def signal_worker(self, number: signal.Signals) -> int:
        """Send a signal to its worker, and give the worker's process id."""
        worker = self.worker()
        assert worker is not None, f"the server has no worker: {self.log()}"
        _send(worker, number)
        return worker

    async def worker_other_than(self, old: int | None) -> int:
        """The process id of its next worker."""
        await until(lambda: self.worker() not in (None, old), within_s=60, what="a new worker")
        worker = self.worker()
        assert worker is not None
        return worker

    def memory(self, what: str) -> int:
        """Bytes of memory: ``VmRSS`` now, or ``VmHWM`` at most so far."""
        lines = Path(f"/proc/{self._running().pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))

    def processor_seconds(self) -> float:
        """What the serving process has used of processors so far."""
        fields = Path(f"/proc/{self._running().pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """How many files and connections it holds open."""
        return len(list(Path(f"/proc/{self._running().pid}/fd").iterdir()))

    async def health(self) -> dict[str, Any]:
        """What ``/readyz`` says. Raises ``NotSent``, ``NoAnswer``."""
        answer = await ask(self.port, "GET", "/readyz")
        assert answer.status == 200, answer
        state: dict[str, Any] = answer.json()
        return state

    async def health_when(self, wanted: Callable[[dict[str, Any]], bool], *, within_s: float) -> float:
        """Wait for a state of ``/readyz``, and give the seconds it took."""
        began, state = time.monotonic(), dict[str, Any]()
        while time.monotonic() - began < within_s:
            assert not self.ended(), f"the server ended: {self.log()}"
            with contextlib.suppress(NotSent, NoAnswer):
                state = await self.health()
                if wanted(state):
                    return time.monotonic() - began
            await asyncio.sleep(_POLL_S)
        raise TimeoutError(f"not within {within_s:.0f} s, /readyz says {state}: {self.log()}")

    async def caught_up(self, *, within_s: float = 30.0) -> float:
        """Wait until all is well and projected, and give the seconds it took."""
        return await self.health_when(
            lambda state: state["status"] == "ok" and state["projector_lag_seconds"] == 0, within_s=within_s
        )

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request on a connection of its own."""
        return await ask(self.port, method, path, headers=headers or {}, body=body)

    async def create_account(self, name: str) -> Account:
        """Make an account at the command line, beside the running server."""
        command = (*TRACKER, "account", "create", name, "--json")
        run = await asyncio.to_thread(
            subprocess.run, command, cwd=self.folder, env=self._environment, capture_output=True, check=True
        )
        made = json.loads(run.stdout)
        return Account(id=made["account"]["id"], authorization={"authorization": f"Bearer {made['api_key']}"})

    def log(self) -> str:
        """All it has said on standard error, over all its lives."""
        return self._log.read_text("utf-8", "replace")

    def _spawned(self) -> subprocess.Popen[bytes]:
        command = (*self._program, "serve", "--port", str(self.port), "--json", *self._options)
        with self._output.open("wb") as output, self._log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdout=output, stderr=log, start_new_session=True
            )

    def _spoke(self) -> bool:
        return self._output.read_bytes().endswith(b"\n")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server does not run"
        return self._process


@asynccontextmanager
async def stopped_worker(server: Server) -> AsyncIterator[int]:
    """The worker neither works nor ends for this long."""
    worker = server.signal_worker(signal.SIGSTOP)
    try:
        yield worker
    finally:
        _send(worker, signal.SIGCONT)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _parent(pid: int) -> int | None:
    try:
        # The name of the program stands in brackets and may hold anything.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
