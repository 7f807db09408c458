"""A check of 10,000 addresses against a million suppressions and against ten million, in turns; and pixels meanwhile.

    python -m benchmarks.check [--rounds 9] [--small 1000000] [--large 10000000] [--keep FOLDER]

Times are those of whole calls over HTTP, body and answer included. One in a hundred of the addresses asked about is
suppressed, and every answer is looked at. The pixels are loaded on 16 connections, first alone, then beside one client
that asks without a pause. Ten million rows take minutes to make: with --keep they are made once.
"""

import contextlib
import sqlite3
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from .load import load
from .ours import Ours, filled
from .processes import answer
from .report import Figure, arguments, at_most, show

_ASKED = 10_000
_SUPPRESSED = 100
_CONNECTIONS = 16
_SECONDS = 5

_FILL = """
insert into suppressions (account_id, address_key, scope, topic, reason, origin, id, created_at)
with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < :rows)
select
    :account, key, 'account', '', 'unsubscribed', 'recipient',
    cast(printf('%016d', row_number() over (order by key)) as blob), 1795341600000
from (select randomblob(16) as key from numbers) order by key
"""


def main() -> None:
    """Fill two installations, ask both in turns, and print the medians and their ratio."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", type=int, default=1_000_000, metavar="ROWS")
    parser.add_argument("--large", type=int, default=10_000_000, metavar="ROWS")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the filled databases here for the next time")
    parser.add_argument("--only-fill", action="store_true", help="fill and keep the databases, and measure nothing")
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        small, large = (_filled(stack, wanted.keep, rows) for rows in (wanted.small, wanted.large))
        if wanted.only_fill:
            return
        _check(small), _check(large)
        times = [(_check(small), _check(large)) for _ in range(wanted.rounds)]
        figures = [*_of_checks(times, wanted.small, wanted.large), *_of_pixels(large)]
    title = f"check of {_ASKED:,} addresses: median of {wanted.rounds} calls to each, in turns"
    show(title, figures, as_json=wanted.json, rounds=wanted.rounds, small=wanted.small, large=wanted.large)


def _filled(stack: contextlib.ExitStack, keep: Path | None, rows: int) -> Ours:
    def fill(ours: Ours) -> None:
        with contextlib.closing(sqlite3.connect(ours.folder / "tracker.db.inbox", isolation_level=None)) as inbox:
            inbox.execute(_FILL, {"rows": rows, "account": bytes.fromhex(ours.account)})
            inbox.execute("pragma wal_checkpoint(truncate)")
        for number in range(_SUPPRESSED):
            wanted = {"email": _email(number * _ASKED // _SUPPRESSED), "reason": "manual"}
            answer(f"{ours.origin}/v1/suppressions", wanted, ours.key)

    return filled(stack, keep, f"suppressions-{rows}", fill)


def _email(number: int) -> str:
    return f"Reader.{number}@customers.example.com"


def _check(ours: Ours) -> float:
    """The milliseconds of one call."""
    began = time.perf_counter()
    found: Any = answer(
        f"{ours.origin}/v1/suppressions/check", {"recipients": [_email(number) for number in range(_ASKED)]}, ours.key
    )
    took = (time.perf_counter() - began) * 1000
    refused = [one["recipient"] for one in found["data"] if not one["allowed"]]
    if refused != [_email(number) for number in range(0, _ASKED, _ASKED // _SUPPRESSED)]:
        raise SystemExit(f"the check answered wrongly: {len(refused)} of {len(found['data'])} refused")
    return took


def _of_checks(times: list[tuple[float, float]], small: int, large: int) -> list[Figure]:
    of_small, of_large = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        Figure(f"against {small:,} suppressions", of_small, "ms"),
        Figure(f"against {large:,} suppressions", of_large, "ms", at_most(90)),
        Figure("large against small", of_large / of_small, "x", at_most(2)),
    ]


def _of_pixels(ours: Ours) -> list[Figure]:
    paths = ours.pixels(100)
    load(ours.origin, paths, ours.folder, seconds=2, connections=_CONNECTIONS)
    alone = load(ours.origin, paths, ours.folder, seconds=_SECONDS, connections=_CONNECTIONS)
    stop, asked = threading.Event(), list[float]()
    asking = threading.Thread(target=_keep_asking, args=(ours, stop, asked))
    asking.start()
    beside = load(ours.origin, paths, ours.folder, seconds=_SECONDS, connections=_CONNECTIONS)
    stop.set()
    asking.join()
    return [
        Figure("pixels alone", alone.per_second, "/s"),
        Figure("pixels alone: p99", alone.p99_ms, "ms"),
        Figure("pixels beside checks", beside.per_second, "/s"),
        Figure("pixels beside checks: p99", beside.p99_ms, "ms", at_most(25)),
        Figure("checks beside pixels", statistics.median(asked), "ms"),
        Figure("pixels that failed", alone.bad + beside.bad),
    ]


def _keep_asking(ours: Ours, stop: threading.Event, asked: list[float]) -> None:
    while not stop.is_set():
        asked.append(_check(ours))


if __name__ == "__main__":
    main()
