"""What a small customer and readers see while ten customers send batch after batch, against being alone.

    python -m benchmarks.fairness [--seconds 8] [--tenants 10]

One small account makes a message, checks an address and has a pixel opened, in turns, on one connection; a quarter of
the time alone, then beside batches of 1,000 recipients, of 10,000, and alone again. The ratio is that of the
99th percentile (and the median) to those of both times alone together. All clients work on the server's own cores, so
a part of each ratio is theirs.
"""

import argparse
import contextlib
import http.client
import multiprocessing
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.synchronize import Event
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .ours import Ours, started
from .processes import tracker

_SIZES = (1_000, 10_000)
_AGAIN_S = 0.2

Times = Mapping[str, Sequence[float]]
"""Milliseconds of each call, by its kind."""


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--tenants", type=int, default=10)
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        ours = started(stack)
        keys = [_key(ours, number) for number in range(wanted.tenants)]
        _measured(ours, 2)
        first = _measured(ours, wanted.seconds)
        beside = {}
        for size in _SIZES:
            with _batches(ours, keys, size):
                beside[size] = _measured(ours, wanted.seconds)
        last = _measured(ours, wanted.seconds)
    alone = {kind: [*first[kind], *last[kind]] for kind in first}
    for kind, times in alone.items():
        _print(kind, times, {size: found[kind] for size, found in beside.items()})


def _key(ours: Ours, number: int) -> str:
    made: Any = tracker("account", "create", f"Tenant {number}", folder=ours.folder)
    return str(made["api_key"])


def _measured(ours: Ours, seconds: float) -> Times:
    """The calls of the small account, one after the other."""
    (pixel,) = ours.pixels(1)
    connection = http.client.HTTPConnection(urlsplit(ours.origin).netloc, timeout=60)
    message = {"campaign": "small", "recipient": {"email": "ada@example.com"}}
    calls: list[tuple[str, str, str, object]] = [
        ("message", "POST", "/v1/messages", message),
        ("check", "POST", "/v1/suppressions/check", {"recipients": ["ada@example.com"]}),
        ("pixel", "GET", pixel, None),
    ]
    times, end = defaultdict[str, list[float]](list), time.monotonic() + seconds
    while time.monotonic() < end:
        for kind, method, path, body in calls:
            began = time.perf_counter()
            status, _ = _ask(connection, method, path, ours.key, msgspec.json.encode(body) if body else b"")
            times[kind].append((time.perf_counter() - began) * 1000)
            if status not in (200, 201):
                raise SystemExit(f"{kind} was answered {status}")
    connection.close()
    return times


def _ask(connection: http.client.HTTPConnection, method: str, path: str, key: str, body: bytes) -> tuple[int, bytes]:
    connection.request(
        method, path, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"} if body else {}
    )
    response = connection.getresponse()
    return response.status, response.read()


@contextlib.contextmanager
def _batches(ours: Ours, keys: Sequence[str], size: int) -> Iterator[None]:
    """Every tenant sends one after the other, from another process."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_send_all, args=(ours.origin, keys, size, stop))
    process.start()
    time.sleep(2)
    try:
        yield
    finally:
        stop.set()
        process.join()


def _send_all(origin: str, keys: Sequence[str], size: int, stop: Event) -> None:
    answers = Counter[int]()
    threads = [threading.Thread(target=_send, args=(origin, key, size, stop, answers)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"batches of {size:,}, by status: {dict(answers)}", flush=True)


def _send(origin: str, key: str, size: int, stop: Event, answers: Counter[int]) -> None:
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=120)
    recipients = [{"email": f"reader{number}@{key[4:12]}.example.com"} for number in range(size)]
    body = msgspec.json.encode({"campaign": "large", "recipients": recipients})
    while not stop.is_set():
        status, _ = _ask(connection, "POST", "/v1/messages/batch", key, body)
        answers[status] += 1
        if status != 200:
            time.sleep(_AGAIN_S)


def _print(kind: str, alone: Sequence[float], beside: Mapping[int, Sequence[float]]) -> None:
    print(f"\n{kind:8} alone                     {_figures(alone)}")
    for size, times in beside.items():
        ratios = f"p50 {_p50(times) / _p50(alone):5.1f} x   p99 {_p99(times) / _p99(alone):5.1f} x   (target <= 2)"
        print(f"{kind:8} beside batches of {size:>6,} {_figures(times)}   {ratios}")


def _figures(times: Sequence[float]) -> str:
    return f"p50 {_p50(times):7.1f} ms   p99 {_p99(times):7.1f} ms   {len(times):6,} calls"


def _p50(times: Sequence[float]) -> float:
    return statistics.median(times)


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]


if __name__ == "__main__":
    main()
