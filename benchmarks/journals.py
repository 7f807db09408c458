"""Fills a journal without a server: as many hits as are wanted, of messages that exist."""

import contextlib
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

_INSERT = """
insert into journal (id, account_id, message_id, type, occurred_at, user_agent, network, prefetch, blocked, link, url)
values (?, ?, ?, ?, ?, ?, '203.0.113.0', 0, 0, ?, ?)
"""
_ENGINE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
_AGENTS = [f"{_ENGINE} Chrome/{version}.0.0.0 Safari/537.36" for version in range(100, 150)]
_CLICKS_IN = 10
"""One hit in so many is a click."""


def fill(database: Path, rows: int) -> None:
    """Add hits above whatever the journal held; one millisecond has some ten of them."""
    with contextlib.closing(sqlite3.connect(database)) as main:
        messages = main.execute("select account_id, id from messages").fetchall()
        (mark,) = main.execute("select mark from projection").fetchone()
    with contextlib.closing(sqlite3.connect(f"{database}.inbox")) as inbox:
        inbox.executemany(_INSERT, _rows(messages, mark, rows))
        inbox.commit()


def _rows(messages: list[tuple[bytes, bytes]], mark: int, rows: int) -> Iterator[tuple[object, ...]]:
    chance = random.Random(1)
    began = time.time_ns() // 1_000_000 - rows // 10
    for number in range(rows):
        account, message = chance.choice(messages)
        click = number % _CLICKS_IN == 0
        said = ("clicked", 1, "https://shop.example.com/spring") if click else ("opened", None, None)
        yield mark + number + 1, account, message, said[0], began + number // 10, chance.choice(_AGENTS), *said[1:]
