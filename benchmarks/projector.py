"""The projector alone: a journal made beforehand becomes events, with nobody asking for anything meanwhile.

    python -m benchmarks.projector [--rows 200000] [--messages 500] [--rounds 3]

The worker process is started on an installation without a server, and is timed until its mark stands at the end of
the journal. Its CPU is that of all its threads.
"""

import contextlib
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .journals import fill
from .ours import new_folder, started
from .processes import cpu_seconds, working
from .report import Figure, arguments, at_least, say, show

_POLL_S = 0.02


class Turn(NamedTuple):
    """One journal, worked through."""

    per_second: float
    cpu_us: float
    """CPU per event, in microseconds."""


def main() -> None:
    """Fill the journal and let the worker have it, a few times over; the table of events grows meanwhile."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="hits in the journal")
    parser.add_argument("--messages", type=int, default=500, help="messages they are of")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = new_folder(stack)
        with contextlib.ExitStack() as serving:
            started(serving, folder).pixels(wanted.messages)
        turns = [_turn(folder, wanted.rows) for _ in range(wanted.rounds)]
    rates, costs = zip(*turns, strict=True)
    figures = [
        Figure("events a second", statistics.median(rates), "/s", at_least(8_000)),
        Figure("CPU of the worker per event", statistics.median(costs), "us"),
    ]
    show(
        f"the projector alone: {wanted.rounds} journals of {wanted.rows:,} hits of {wanted.messages:,} messages",
        figures,
        as_json=wanted.json,
        rows=wanted.rows,
        messages=wanted.messages,
        rounds=wanted.rounds,
    )


def _turn(folder: Path, rows: int) -> Turn:
    database = folder / "tracker.db"
    fill(database, rows)
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as reader, working(folder) as worker:
        # The half second in which it starts is not counted: from its first slice on.
        first = _wait_for_mark(reader, worker, above=_mark(reader))
        began, cpu = time.perf_counter(), cpu_seconds([worker.pid])
        last = _wait_for_mark(reader, worker, above=_last_key(database) - 1)
        took, used = time.perf_counter() - began, cpu_seconds([worker.pid]) - cpu
    _empty(database)
    turn = Turn((last - first) / took, used / (last - first) * 1e6)
    say(f"{last - first:,} events in {took:.1f} s: {turn.per_second:,.0f}/s, {turn.cpu_us:.1f} us of CPU each")
    return turn


def _mark(reader: sqlite3.Connection) -> int:
    return int(reader.execute("select mark from projection").fetchone()[0])


def _wait_for_mark(reader: sqlite3.Connection, worker: subprocess.Popen[bytes], *, above: int) -> int:
    while (mark := _mark(reader)) <= above:
        if worker.poll() is not None:
            sys.exit("the worker ended before the journal was empty")
        time.sleep(_POLL_S)
    return mark


def _last_key(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"{database}.inbox")) as inbox:
        return int(inbox.execute("select max(id) from journal").fetchone()[0])


def _empty(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(f"{database}.inbox", isolation_level=None)) as inbox:
        inbox.execute("delete from journal")


if __name__ == "__main__":
    main()
