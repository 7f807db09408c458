"""Runs contenders in turns, each between two rounds of bare uvicorn, and compares them."""

import argparse
import contextlib
import statistics
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .contenders import Contender, Round, bare, naive, nginx, ours
from .databases import compare_databases
from .ours import Ours, started
from .processes import answer
from .report import Figure, Target, arguments, at_least, at_most, say, show

_MESSAGES = 500
_WARM_UP_S = 2


class Lap(NamedTuple):
    """One round of a contender, with the bare rounds before and after it."""

    before: Round
    own: Round
    after: Round

    @property
    def rate(self) -> float:
        """Requests a second against bare uvicorn."""
        return 2 * self.own.report.per_second / (self.before.report.per_second + self.after.report.per_second)

    @property
    def cost(self) -> float:
        """CPU per request against bare uvicorn."""
        return 2 * self.own.cpu_us / (self.before.cpu_us + self.after.cpu_us)


Laps = Mapping[str, list[Lap]]


def race(description: str | None, kind: str) -> None:
    """Read the command line, run the rounds, print the ratios."""
    wanted = _parser(description, kind).parse_args()
    if wanted.database:
        compare_databases(wanted.rounds, wanted.seconds)
        return
    with contextlib.ExitStack() as stack:
        server = started(stack)
        yardstick = bare(stack, kind)
        contenders = list(_contenders(stack, server, kind, wanted))
        for one in (yardstick, *contenders):
            one.round(_WARM_UP_S)
        laps = _laps(yardstick, contenders, wanted.rounds, wanted.seconds)
        _check_all_stored(server)
    title = f"{kind}: median of {wanted.rounds} rounds of {wanted.seconds} s, 64 connections, against bare uvicorn"
    show(title, _figures(laps), as_json=wanted.json, rounds=wanted.rounds, seconds=wanted.seconds)


def _parser(description: str | None, kind: str) -> argparse.ArgumentParser:
    parser = arguments(description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    parser.add_argument("--without-paused", action="store_true", help="leave out the projector standing still")
    parser.add_argument("--without-naive", action="store_true", help="leave out the commit per request")
    parser.add_argument("--without-nginx", action="store_true", help="leave out nginx")
    parser.set_defaults(database=False)
    if kind == "pixel":
        text = "PostgreSQL against SQLite instead, with one serving process and with two"
        parser.add_argument("--database", action="store_true", help=text)
    return parser


def _contenders(
    stack: contextlib.ExitStack, server: Ours, kind: str, wanted: argparse.Namespace
) -> Iterator[Contender]:
    tracker = ours(server, kind, _MESSAGES)
    yield tracker
    if not wanted.without_paused:
        yield tracker._replace(name="Tracker, projector paused", paused=True)
    if not wanted.without_naive:
        yield naive(stack, kind)
    if not wanted.without_nginx:
        yield nginx(stack, kind)


def _laps(yardstick: Contender, contenders: list[Contender], rounds: int, seconds: int) -> Laps:
    laps: dict[str, list[Lap]] = {one.name: [] for one in contenders}
    before = yardstick.round(seconds)
    for number in range(rounds):
        for one in contenders:
            own, after = one.round(seconds), yardstick.round(seconds)
            lap = Lap(before, own, after)
            laps[one.name].append(lap)
            _say_lap(number, one.name, lap)
            before = after
    return laps


def _say_lap(number: int, name: str, lap: Lap) -> None:
    own = lap.own.report
    say(
        f"{number + 1}. {name:26} {own.per_second:8,.0f}/s   bare {lap.after.report.per_second:8,.0f}/s"
        f"   ratio {lap.rate:.2f}   p50 {own.p50_ms:5.1f} ms   p99 {own.p99_ms:5.1f} ms"
        f"   CPU {lap.own.cpu_us:5.1f} us   bad {own.bad}"
    )


_RATES: Mapping[str, Target] = {"Tracker": at_least(0.45), "Tracker, projector paused": at_least(0.50)}
_COSTS: Mapping[str, Target] = {"Tracker": at_most(4.5), "Tracker, projector paused": at_most(2.0)}


def _figures(laps: Laps) -> Iterator[Figure]:
    for name, run in laps.items():
        rates = [lap.rate for lap in run]
        yield Figure(f"{name}: requests a second", statistics.median(rates), "x", _RATES.get(name))
        yield Figure(f"{name}: lowest round", min(rates), "x")
        yield Figure(f"{name}: highest round", max(rates), "x")
        yield Figure(f"{name}: CPU per request", statistics.median(lap.cost for lap in run), "x", _COSTS.get(name))
        p99 = statistics.median(lap.own.report.p99_ms for lap in run)
        yield Figure(f"{name}: p99", p99, "ms", at_most(25) if name == "Tracker" else None)
        yield Figure(f"{name}: failed", sum(lap.own.report.bad for lap in run))
    if "nginx" in laps:
        pairs = zip(laps["Tracker"], laps["nginx"], strict=True)
        against = statistics.median(own.rate / other.rate for own, other in pairs)
        yield Figure("Tracker against nginx: requests a second", against, "x", at_least(0.17))


def _check_all_stored(server: Ours) -> None:
    """What was acknowledged is there: a benchmark of a server that forgets would be worth nothing."""
    feed: Any = answer(f"{server.origin}/v1/events?limit=1", key=server.key)
    say(f"events stored: {feed['data'][0]['sequence']:,}")
