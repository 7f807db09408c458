"""Durable opens on PostgreSQL against those on SQLite, in turns, in one run; and one serving process against two."""

import asyncio
import contextlib
import statistics
import time
from typing import Any

from tests.postgres import a_server

from .load import load
from .ours import Ours, started
from .processes import answer

_KEYS = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
_MESSAGES = 500


def compare_databases(rounds: int, seconds: int) -> None:
    """Run the rounds and print the ratios. PostgreSQL syncs, and runs on the same machine."""
    with contextlib.ExitStack() as stack:
        server = a_server()
        stack.callback(server.remove)
        urls = [server.url(asyncio.run(server.create())) for _ in range(2)]
        one, two = (dict[str, Any](TRACKER_DATABASE_URL=url, TRACKER_SECRET_KEYS=_KEYS) for url in urls)
        kinds = {
            "SQLite": started(stack),
            "PostgreSQL": started(stack, **one),
            "PostgreSQL, 2 workers": started(stack, options=("--workers", "2"), **two),
        }
        paths = {name: ours.pixels(_MESSAGES) for name, ours in kinds.items()}
        for name, ours in kinds.items():
            _round(ours, paths[name], 2)
        rates: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(rounds):
            for name, ours in kinds.items():
                rates[name].append(_round(ours, paths[name], seconds))
    _print(rates)


def _round(ours: Ours, paths: list[str], seconds: int) -> float:
    report = load(ours.origin, paths, ours.folder, seconds=seconds)
    print(
        f"{report.per_second:8.0f}/s   p50 {report.p50_ms:5.1f} ms   p99 {report.p99_ms:5.1f} ms   bad {report.bad}",
        flush=True,
    )
    while True:
        state: Any = answer(f"{ours.origin}/readyz")
        if state["projector_lag_seconds"] == 0:
            return report.per_second
        time.sleep(0.1)


def _print(rates: dict[str, list[float]]) -> None:
    base = rates["SQLite"]
    print(f"\nmedian of {len(base)} rounds, 64 connections, fsync before each answer, the worker at work:")
    for name, found in rates.items():
        ratio = statistics.median(rate / of for rate, of in zip(found, base, strict=True))
        print(f"  {name:24}{statistics.median(found):8.0f}/s   {ratio:.2f} of SQLite")
