"""Where each microsecond of CPU goes: an open by its parts, in the serving process and in the worker.

    python -m benchmarks.parts [--seconds 8]

It needs py-spy (pip install py-spy) and the right to look into other processes. How much CPU each thread used per open
is the kernel's own account; how that is divided among the parts, samples of its stack tell. A sample counts for the
first part that one of its frames belongs to. Time in C code or in the kernel counts for the Python that called it; what
no Python called is the event loop's own: polling, reading sockets, timers, waking up.
"""

import collections
import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .contenders import Contender, ours
from .ours import started
from .processes import family
from .report import Figure, arguments, say, show

_MESSAGES = 500
_RATE_HZ = 400

_SERVER = (
    ("answer in one write", ("send_whole", "Prepared.send")),
    ("token", ("Links.read_open", "Links.read_click")),
    ("hit: address, user agent, time", ("_hit (",)),
    ("queue: a future and its place", ("EventWriter.record", "EventWriter.keep")),
    ("SQLite and disk: the statement and its commit", ("SQLite._run",)),
    ("writer's thread: taking work, saying it is done", ("OwnThread._run",)),
    ("batch: gathering, handing over, settling futures", ("EventWriter._run", "EventWriter._write")),
    ("trimming and looking at the mark", ("Backlog.", "Pulse.")),
    ("the application's coroutine", ("Tracking.",)),
    ("parsing and protocol", ("data_received", "HttpToolsProtocol", "RequestResponseCycle")),
    ("readers' threads", ("_connection_worker_thread",)),
)
_WORKER = (
    ("verdict and client", ("judge (", "describe (")),
    ("ids of events", ("event_ids",)),
    ("counts", ("_campaign_counts", "_count_key")),
    ("events from hits", ("_event (", "project (")),
    ("decoding journal rows", ("journal_row",)),
    ("numbers and rows to insert", ("_numbered", "_in_order")),
    ("reading the journal, messages and counts", ("_connection_worker_thread", "SQLite.fetch")),
    ("SQLite and disk: inserts, counts, commit, log", ("SQLite._run", "SQLite._transact")),
)
_LOOP = "the loop itself"
_UNSEEN = "threads never seen at work"


def main() -> None:
    """Load Tracker twice, looking at the one process and then at the other."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="of load for each process")
    wanted = parser.parse_args()
    if shutil.which("py-spy") is None:
        sys.exit("this program needs py-spy: pip install py-spy")
    with contextlib.ExitStack() as stack:
        server = started(stack)
        tracker = ours(server, "pixel", _MESSAGES)
        tracker.round(2)
        serving, worker = family(server.pid)
        figures = [
            *_figures("serving", _SERVER, tracker, serving, wanted.seconds),
            *_figures("worker", _WORKER, tracker, worker, wanted.seconds),
        ]
    show("CPU of an open by its parts, the worker running", figures, as_json=wanted.json, seconds=wanted.seconds)


def _figures(
    name: str, parts: Sequence[tuple[str, tuple[str, ...]]], tracker: Contender, pid: int, seconds: int
) -> Iterator[Figure]:
    requests: list[int] = []
    samples = tracker.folder / f"{name}.raw"
    before = _cpu_us(pid)
    loading = threading.Thread(target=lambda: requests.append(tracker.round(seconds).report.requests))
    loading.start()
    time.sleep(1)
    _sample(pid, seconds - 2, samples)
    loading.join()
    used = {thread: (cpu - before.get(thread, 0)) / requests[0] for thread, cpu in _cpu_us(pid).items()}
    say(f"{name}: {sum(used.values()):.1f} us of CPU an open")
    yield Figure(f"{name}: in all", sum(used.values()), "us")
    for part, cpu in _divided(used, _samples(samples, parts)).most_common():
        yield Figure(f"{name}: {part}", cpu, "us")


def _sample(pid: int, seconds: int, target: Path) -> None:
    command = ["py-spy", "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(_RATE_HZ)]
    command += ["--format", "raw", "--output", str(target), "--threads", "--nonblocking"]
    subprocess.run(command, check=True, capture_output=True, timeout=seconds + 60)


def _samples(file: Path, parts: Sequence[tuple[str, tuple[str, ...]]]) -> "dict[str, collections.Counter[str]]":
    """How often each thread was seen in each part."""
    seen: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        thread = re.match(r"thread \((\d+)\)", stack)
        part = next((part for part, marks in parts if any(mark in stack for mark in marks)), _LOOP)
        seen[thread[1] if thread else ""][part] += int(count)
    return seen


def _divided(used: dict[str, float], seen: "dict[str, collections.Counter[str]]") -> "collections.Counter[str]":
    """The CPU of each thread among the parts it was seen in: who waits for the disk is seen as well, and uses none."""
    divided: collections.Counter[str] = collections.Counter()
    for thread, cpu in used.items():
        parts = seen.get(thread) or collections.Counter({_UNSEEN: 1})
        for part, count in parts.items():
            divided[part] += cpu * count / parts.total()  # type: ignore[assignment]
    return divided


def _cpu_us(pid: int) -> dict[str, float]:
    """What each thread of a process used, in microseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) / 1000 for task in tasks}


if __name__ == "__main__":
    main()
