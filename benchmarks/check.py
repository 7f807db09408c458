"""A check of 10,000 addresses against a million suppressions and against ten million, in turns; and pixels meanwhile.

    python -m benchmarks.check [--rounds 9] [--small 1000000] [--large 10000000]

Times are those of whole calls over HTTP, body and answer included. One in a hundred of the addresses asked about is
suppressed, and every answer is looked at. The pixels are loaded on 16 connections, first alone, then beside one client
that asks without a pause.
"""

import argparse
import contextlib
import sqlite3
import statistics
import threading
import time
from typing import Any

from .load import load
from .ours import Ours, started
from .processes import answer

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--small", type=int, default=1_000_000, metavar="ROWS")
    parser.add_argument("--large", type=int, default=10_000_000, metavar="ROWS")
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        small, large = (_filled(stack, rows) for rows in (wanted.small, wanted.large))
        _check(small), _check(large)
        times = [(_check(small), _check(large)) for _ in range(wanted.rounds)]
        _print(times, wanted.small, wanted.large)
        _print_pixels(large)


def _filled(stack: contextlib.ExitStack, rows: int) -> Ours:
    ours = started(stack)
    began = time.perf_counter()
    with contextlib.closing(sqlite3.connect(ours.folder / "tracker.db.inbox", isolation_level=None)) as inbox:
        inbox.execute(_FILL, {"rows": rows, "account": bytes.fromhex(ours.account)})
        inbox.execute("pragma wal_checkpoint(truncate)")
    for number in range(_SUPPRESSED):
        wanted = {"email": _email(number * _ASKED // _SUPPRESSED), "reason": "manual"}
        answer(f"{ours.origin}/v1/suppressions", wanted, ours.key)
    print(f"{rows:,} suppressions stored in {time.perf_counter() - began:.0f} s", flush=True)
    return ours


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


def _print(times: list[tuple[float, float]], small: int, large: int) -> None:
    of_small, of_large = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"\nmedian of {len(times)} calls each, {_ASKED:,} addresses, in turns:\n"
        f"  against {small:>12,} suppressions   {of_small:6.1f} ms\n"
        f"  against {large:>12,} suppressions   {of_large:6.1f} ms   (target <= 90)\n"
        f"  ratio                               {of_large / of_small:6.2f} x    (target <= 2)"
    )


def _print_pixels(ours: Ours) -> None:
    paths = ours.pixels(100)
    load(ours.origin, paths, ours.folder, seconds=2, connections=_CONNECTIONS)
    alone = load(ours.origin, paths, ours.folder, seconds=_SECONDS, connections=_CONNECTIONS)
    stop, asked = threading.Event(), list[float]()
    asking = threading.Thread(target=_keep_asking, args=(ours, stop, asked))
    asking.start()
    beside = load(ours.origin, paths, ours.folder, seconds=_SECONDS, connections=_CONNECTIONS)
    stop.set()
    asking.join()
    print(
        f"\npixels on {_CONNECTIONS} connections, the worker running:\n"
        f"  alone              {alone.per_second:6.0f}/s   p50 {alone.p50_ms:5.1f} ms   p99 {alone.p99_ms:5.1f} ms\n"
        f"  beside checks      {beside.per_second:6.0f}/s   p50 {beside.p50_ms:5.1f} ms   p99 {beside.p99_ms:5.1f} ms"
        f"   ({len(asked)} checks, median {statistics.median(asked):.0f} ms)\n"
        f"  answers other than 200   {alone.bad + beside.bad}"
    )


def _keep_asking(ours: Ours, stop: threading.Event, asked: list[float]) -> None:
    while not stop.is_set():
        asked.append(_check(ours))


if __name__ == "__main__":
    main()
