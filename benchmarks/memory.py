"""Memory of the serving process and of the worker: idle, under load, and afterwards; and of bare uvicorn.

    python -m benchmarks.memory [--seconds 20]

The resident set of each process, as the kernel counts it: pages of shared libraries count in each of them. The highest
that was ever reached is what a machine has to have.
"""

import contextlib
import time
from pathlib import Path

from .contenders import Contender, bare, ours
from .ours import started
from .processes import family
from .report import Figure, arguments, at_most, show

_SETTLED_S = 3


def main() -> None:
    """Look at the processes before and after a load."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of load")
    parser.add_argument("--messages", type=int, default=10_000, help="messages whose pixels are asked for")
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        yardstick, server = bare(stack, "pixel"), started(stack)
        time.sleep(_SETTLED_S)
        idle = [resident(pid) for pid in family(server.pid)]
        figures = [
            Figure("serving process, idle", idle[0], "MB", at_most(70)),
            Figure("worker, idle", idle[1], "MB", at_most(70)),
            *_after(ours(server, "pixel", wanted.messages), wanted.seconds),
        ]
        yardstick.round(_SETTLED_S)
        figures.append(Figure("bare uvicorn, after its load", resident(yardstick.pid), "MB"))
    show(f"memory, with {wanted.seconds} s of load", figures, as_json=wanted.json, seconds=wanted.seconds)


def _after(tracker: Contender, seconds: int) -> list[Figure]:
    tracker.round(seconds)
    time.sleep(_SETTLED_S)
    names = ("serving process", "worker")
    pids = dict(zip(names, family(tracker.pid), strict=True))
    return [
        Figure(f"{name}, {when}", read(pid), "MB", target)
        for when, read, target in (("after the load", resident, at_most(70)), ("at its highest", highest, None))
        for name, pid in pids.items()
    ]


def resident(pid: int) -> float:
    return _status(pid, "VmRSS")


def highest(pid: int) -> float:
    return _status(pid, "VmHWM")


def _status(pid: int, field: str) -> float:
    """A size of a process, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
