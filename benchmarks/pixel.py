"""Durable opens against bare uvicorn returning the same GIF, in turns, the worker running.

    python -m benchmarks.pixel [--rounds 5] [--seconds 5] [--database]

Each round of Tracker is compared with the mean of the bare rounds before and after it. CPU counts all processes
until the journal is empty. Absolute figures vary with the machine and the hour; the ratios are what is meant.
"""

import argparse
import contextlib
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from .databases import compare_databases
from .load import Report, load
from .ours import Ours, free_port, new_folder, started
from .processes import answer, cpu_seconds, family, running

_MESSAGES = 500


class Round(NamedTuple):
    """One run of one server."""

    report: Report
    cpu_us: float
    """CPU of all processes per request, in microseconds."""


class Target(NamedTuple):
    """A running server, and what to ask it for."""

    origin: str
    paths: list[str]
    pid: int
    folder: Path

    def round(self, seconds: int) -> Round:
        """Load it, wait until nothing is left to do, and read what that cost."""
        pids = family(self.pid)
        before = cpu_seconds(pids)
        report = load(self.origin, self.paths, self.folder, seconds=seconds)
        if len(pids) > 1:
            _wait_until_drained(self.origin)
        return Round(report, (cpu_seconds(pids) - before) / report.requests * 1e6)


def main() -> None:
    """Run the rounds and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument(
        "--database", action="store_true", help="SQLite against PostgreSQL instead, with 1 and 2 workers"
    )
    wanted = parser.parse_args()
    if wanted.database:
        compare_databases(wanted.rounds, wanted.seconds)
        return
    with contextlib.ExitStack() as stack:
        ours = started(stack)
        bare, target = _bare(stack), _target(ours)
        for one in (bare, target):
            one.round(2)
        rounds = _in_turns(bare, target, wanted.rounds, wanted.seconds)
        _check_all_stored(ours)
    _print(rounds)


def _in_turns(bare: Target, ours: Target, rounds: int, seconds: int) -> list[tuple[Round, Round, Round]]:
    measured = []
    before = bare.round(seconds)
    for _ in range(rounds):
        middle, after = ours.round(seconds), bare.round(seconds)
        measured.append((before, middle, after))
        _print_round(before, middle, after)
        before = after
    return measured


def _print_round(before: Round, middle: Round, after: Round) -> None:
    bare = (before.report.per_second + after.report.per_second) / 2
    print(
        f"bare {bare:8.0f}/s   tracker {middle.report.per_second:8.0f}/s   ratio {middle.report.per_second / bare:.2f}"
        f"   p50 {middle.report.p50_ms:5.1f} ms   p99 {middle.report.p99_ms:5.1f} ms"
        f"   CPU {middle.cpu_us:6.0f} us   bad {middle.report.bad}",
        flush=True,
    )


def _print(rounds: list[tuple[Round, Round, Round]]) -> None:
    rates = [2 * o.report.per_second / (b.report.per_second + a.report.per_second) for b, o, a in rounds]
    costs = [2 * o.cpu_us / (b.cpu_us + a.cpu_us) for b, o, a in rounds]
    p99s = [o.report.p99_ms for _, o, _ in rounds]
    bad = sum(o.report.bad for _, o, _ in rounds)
    print(
        f"\nmedian of {len(rounds)} rounds, 64 connections, fsync before each answer:\n"
        f"  durable opens a second against bare uvicorn   {statistics.median(rates):.2f}   (target >= 0.45)\n"
        f"  p99                                           {statistics.median(p99s):.1f} ms (target <= 25)\n"
        f"  CPU of all processes until drained            {statistics.median(costs):.2f} x (target <= 4.5)\n"
        f"  answers other than 200                        {bad}"
    )


def _bare(stack: contextlib.ExitStack) -> Target:
    folder, port = new_folder(stack), free_port()
    origin = f"http://127.0.0.1:{port}"
    process = stack.enter_context(running([sys.executable, "-m", "benchmarks.bare", str(port)], folder, origin))
    return Target(origin, [f"/o/{'x' * 57}.gif"], process.pid, folder)


def _target(ours: Ours) -> Target:
    return Target(ours.origin, ours.pixels(_MESSAGES), ours.pid, ours.folder)


def _wait_until_drained(origin: str) -> None:
    while True:
        state: Any = answer(f"{origin}/readyz")
        if state["projector_lag_seconds"] == 0:
            return
        time.sleep(0.1)


def _check_all_stored(ours: Ours) -> None:
    """What was acknowledged is there: a benchmark of a server that forgets would be worth nothing."""
    feed: Any = answer(f"{ours.origin}/v1/events?limit=1", key=ours.key)
    print(f"events stored: {feed['data'][0]['sequence']}")


if __name__ == "__main__":
    main()
