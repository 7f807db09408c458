"""Pages of events among a million and among ten million, in turns.

    python -m benchmarks.query [--rounds 40] [--small 1000000] [--large 10000000] [--keep FOLDER]

Times are those of whole calls over HTTP on a connection that is kept: key and quota, the look at the journal's head,
the statement, JSON, the answer read. The page of one event shows what a call costs before it has read anything. The
events are of 10,000 messages in five campaigns; one in ten is a click, one in twenty a machine's.
"""

import contextlib
import http.client
import sqlite3
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

from .ours import Ours, filled
from .report import Figure, arguments, at_most, say, show

_MESSAGES = 10_000
_BEGAN = 1_795_341_600_000
_EVENTS_A_MILLISECOND = 10

_FILL = """
insert into events (account_id, id, sequence, revision, type, occurred_at, campaign, message_id, url, link, user_agent,
    client_name, client_os, client_device, ip, proxied, verdict, verdict_class, signals, ruleset)
with recursive numbers (number) as (select 0 union all select number + 1 from numbers where number + 1 < :rows)
select
    :account, event_id(number), number + 1, 1, iif(number % 10 = 0, 'clicked', 'opened'), :began + number / 10,
    campaign, id, iif(number % 10 = 0, 'https://shop.example.com/spring', null), iif(number % 10 = 0, 1, null),
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
    'Chrome', 'Windows', 'desktop', '203.0.113.0', 0, iif(number % 20 = 3, 'machine', 'human'),
    iif(number % 20 = 3, 'scanner_ua', null), '', 1
from numbers join wanted on place = (number * 7919) % (select count(*) from wanted)
"""


def main() -> None:
    """Fill two installations, ask both every question in turns, and print the medians and their ratios."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--small", type=int, default=1_000_000, metavar="EVENTS")
    parser.add_argument("--large", type=int, default=10_000_000, metavar="EVENTS")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the filled databases here for the next time")
    parser.add_argument("--only-fill", action="store_true", help="fill and keep the databases, and measure nothing")
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        small, large = (_filled(stack, wanted.keep, rows) for rows in (wanted.small, wanted.large))
        if wanted.only_fill:
            return
        figures = []
        for name, of_small, of_large in zip(
            _questions(small, wanted.small), _questions(small, wanted.small).values(),
            _questions(large, wanted.large).values(), strict=True,
        ):  # fmt: skip
            figures += _figures(name, _Asker(small), of_small, _Asker(large), of_large, wanted.rounds)
    title = f"events, whole calls: median of {wanted.rounds}, {wanted.small:,} and {wanted.large:,} events in turns"
    show(title, figures, as_json=wanted.json, rounds=wanted.rounds, small=wanted.small, large=wanted.large)


class _Asker:
    """A connection that is kept."""

    def __init__(self, ours: Ours) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(ours.origin).netloc)
        self._headers = {"Authorization": f"Bearer {ours.key}"}

    def ask(self, path: str) -> float:
        """The milliseconds of one call."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != http.HTTPStatus.OK:
            raise SystemExit(f"{path} was answered with {answer.status}")
        return took


def _questions(ours: Ours, rows: int) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(ours.folder / "tracker.db")) as database:
        identifier = database.execute("select id from messages limit 1").fetchone()[0].hex()
    message = "-".join((identifier[:8], identifier[8:12], identifier[12:16], identifier[16:20], identifier[20:]))
    middle = _BEGAN + rows // _EVENTS_A_MILLISECOND // 2
    until = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(middle / 1000))}Z"
    return {
        "one event": "/v1/events?limit=1",
        "the newest": "/v1/events",
        "before a time in the middle": f"/v1/events?until={until}",
        "of a campaign": "/v1/events?campaign=campaign-3",
        "of a type": "/v1/events?type=clicked",
        "of a campaign and a type": "/v1/events?campaign=campaign-3&type=clicked",
        "of machines": "/v1/events?verdict=machine",
        "of a message": f"/v1/events?message={message}",
        "the feed from the middle": f"/v1/events/feed?after={rows // 2}",
    }


def _figures(name: str, small: _Asker, of_small: str, large: _Asker, of_large: str, rounds: int) -> list[Figure]:
    small.ask(of_small), large.ask(of_large)
    times = [(small.ask(of_small), large.ask(of_large)) for _ in range(rounds)]
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    say(f"{name}: {first:.2f} ms and {second:.2f} ms")
    return [
        Figure(f"{name}: of the small", first, "ms"),
        Figure(f"{name}: of the large", second, "ms", at_most(3)),
        Figure(f"{name}: large against small", second / first, "x"),
    ]


def _filled(stack: contextlib.ExitStack, keep: Path | None, rows: int) -> Ours:
    def fill(ours: Ours) -> None:
        ours.pixels(_MESSAGES)
        with contextlib.closing(sqlite3.connect(ours.folder / "tracker.db", isolation_level=None)) as database:
            database.execute("pragma cache_size = -400000")
            database.create_function("event_id", 1, _id, deterministic=True)
            _fill(database, bytes.fromhex(ours.account), rows)

    return filled(stack, keep, f"events-{rows}", fill)


def _fill(database: sqlite3.Connection, account: bytes, rows: int) -> None:
    """The indexes are made afterwards, which is quicker by far."""
    indexes = database.execute(
        "select name, sql from sqlite_master where type = 'index' and tbl_name = 'events' and sql is not null"
    ).fetchall()
    database.execute("begin")
    for name, _ in indexes:
        database.execute(f"drop index {name}")
    database.execute(
        "create temporary table wanted as "
        "select row_number() over (order by random()) - 1 as place, id, campaign from messages"
    )
    database.execute("create index temp.wanted_by_place on wanted (place)")
    database.execute(_FILL, {"rows": rows, "account": account, "began": _BEGAN})
    database.execute("update accounts set sequence = :rows where id = :account", {"rows": rows, "account": account})
    for _, sql in indexes:
        database.execute(sql)
    database.execute("commit")
    database.execute("pragma wal_checkpoint(truncate)")


def _id(number: int) -> bytes:
    """An event's id as of its time, ascending within a millisecond."""
    return (_BEGAN + number // _EVENTS_A_MILLISECOND).to_bytes(6, "big") + b"\x70\x00\x80" + number.to_bytes(7, "big")


if __name__ == "__main__":
    main()
