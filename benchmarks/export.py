"""The export of suppressions: rows a second over HTTP, and what it adds to the memory of the serving process.

    python -m benchmarks.export [--rows 300000] [--rounds 3] [--keep FOLDER]

Whole answers are read, and their lines are counted. Memory is the highest resident set during the exports, above that
before the first.
"""

import contextlib
import sqlite3
import statistics
import time
import urllib.request
from pathlib import Path

from .memory import highest, resident
from .ours import Ours, filled
from .report import Figure, arguments, at_least, at_most, say, show

_FILL = """
insert into suppressions (account_id, address_key, scope, topic, reason, origin, id, created_at, email, note)
with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < :rows)
select
    :account, randomblob(16), 'account', '', 'manual', 'customer',
    cast(printf('%016d', number) as blob), 1795341600000 + number, 'reader' || number || '@customers.example.com', null
from numbers
"""


def main() -> None:
    """Fill an account, export it in each format, and print the medians."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the filled database here for the next time")
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        ours = _filled(stack, wanted.keep, wanted.rows)
        before = resident(ours.pid)
        rates = {name: [_rate(ours, name, wanted.rows) for _ in range(wanted.rounds)] for name in ("csv", "ndjson")}
        figures = [
            *(Figure(f"{name}: rows a second", statistics.median(run), "/s") for name, run in rates.items()),
            Figure("fastest: rows a second", max(map(statistics.median, rates.values())), "/s", at_least(200_000)),
            Figure("memory added", highest(ours.pid) - before, "MB", at_most(16)),
        ]
    title = f"export of {wanted.rows:,} suppressions: median of {wanted.rounds}"
    show(title, figures, as_json=wanted.json, rows=wanted.rows, rounds=wanted.rounds)


def _filled(stack: contextlib.ExitStack, keep: Path | None, rows: int) -> Ours:
    def fill(ours: Ours) -> None:
        with contextlib.closing(sqlite3.connect(ours.folder / "tracker.db.inbox", isolation_level=None)) as inbox:
            inbox.execute(_FILL, {"rows": rows, "account": bytes.fromhex(ours.account)})
            inbox.execute("pragma wal_checkpoint(truncate)")

    return filled(stack, keep, f"exported-{rows}", fill)


def _rate(ours: Ours, name: str, rows: int) -> float:
    request = urllib.request.Request(f"{ours.origin}/v1/suppressions/export?format={name}")
    request.add_header("Authorization", f"Bearer {ours.key}")
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as answer:
        lines = sum(piece.count(b"\n") for piece in iter(lambda: answer.read(1 << 20), b""))
    rate = rows / (time.perf_counter() - began)
    if lines not in (rows, rows + 1):
        raise SystemExit(f"the export has {lines} lines instead of {rows}")
    say(f"{name}: {rate:,.0f} rows/s")
    return rate


if __name__ == "__main__":
    main()
