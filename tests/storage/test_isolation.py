"""No statement about an account sees or touches the rows of another, and none could be made to unnoticed."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.storage.databases import sqlite
from tests.storage.twins import OURS, ROWS, THEIRS, contents, fill, given, kinds, tables
from tracker.storage.events import Walk
from tracker.storage.statements import list_names, load_statements, spread

FILTERS = ("types", "campaign", "topic", "message", "verdict", "recipient", "email", "external_id")

PARTS_OF_WALKS = {"event_columns", "numbered", "along_walk", "among_gathered", "gathered", "edge_of_walk", "at_the_end"}

SUBJECTS = sorted(script.name.removesuffix(".sql") for script in (resources.files("tracker.storage") / "sql").iterdir())

FENCE = re.compile(
    r"\b(?:\w+\.)?account_id = (?::account(?:_id)?|\w+\.account_id)\b"
    r"|\bid = :account(?:_id)?\b"
    r"|\b(?:account_)?id in \(:account_ids\)"
)
"""A condition that keeps a statement within an account."""


def statements() -> Iterator[tuple[str, str]]:
    """Every whole statement by subject and name; questions with each of their parts."""
    yield from walks()
    for subject in SUBJECTS:
        parts = load_statements(subject)
        if subject == "events":
            parts = {name: sql for name, sql in parts.items() if name not in PARTS_OF_WALKS}
        wheres = {name: sql for name, sql in parts.items() if sql.startswith("and ")}
        orders = {name: sql for name, sql in parts.items() if sql.startswith("order by ")}
        for name, sql in parts.items():
            if name in wheres or name in orders:
                continue
            yield f"{subject}.{name}", sql
            if name.startswith("select_"):
                yield from ((f"{subject}.{name} {part}", f"{sql} {words}") for part, words in wheres.items())


def walks() -> Iterator[tuple[str, str]]:
    """A list of events along each way there is, and with each filter that picks of what stands there."""
    everything = Walk(None, {}, {"until": b""}, descending=True)
    for name in FILTERS:
        filters = {name: ["opened"]}
        along = everything._replace(way=name, filters=filters)
        yield f"events.of {name}", everything._replace(filters=filters).rows(None)
        if name != "verdict":
            yield f"events.along {name}", along.rows(None)
            yield f"events.edge along {name}", along.edge()
    yield "events.numbered", "{event_columns} {numbered}".format(**load_statements("events"))


FENCED = {name: sql for name, sql in statements() if FENCE.search(sql)}

BROKEN = {
    f"{name} #{number}": f"{sql[: match.start()]}1 = 1{sql[match.end() :]}"
    for name, sql in FENCED.items()
    for number, match in enumerate(FENCE.finditer(sql))
}
"""Each statement without each of its fences."""


class Twins:
    """An installation with our account alone, and one with another whose rows have the same ids."""

    def __init__(self, alone: sqlite3.Connection, together: sqlite3.Connection) -> None:
        self.alone = alone
        self.together = together
        self._kinds = kinds(alone)
        fill(alone, OURS)
        fill(together, OURS, THEIRS)

    def kept_apart(self, name: str, sql: str) -> bool:
        """Whether the statement gives and does the same for us in both, and leaves the other's rows as they are."""
        inserts = re.search(r"^insert into (\w+)", sql, re.MULTILINE)
        return all(
            self._apart(*spread(sql, self._parameters(name, sql, number)), inserts[1] if inserts else None)
            for number in ROWS
        )

    def _apart(self, statement: str, values: list[object], target: str | None) -> bool:
        with _undone(self.alone), _undone(self.together):
            if target:
                # What is there already would only refuse what comes.
                self.alone.execute(f"delete from {target}")
                self.together.execute(f"delete from {target}")
            theirs = contents(self.together, THEIRS)
            alone, together = (_outcome(one, statement, values) for one in (self.alone, self.together))
            return alone == together and contents(self.together, THEIRS) == theirs

    def _parameters(self, name: str, sql: str, number: int) -> dict[str, Any]:
        subject, lists = name.partition(".")[0], list_names(sql)
        values = {one: given(subject, one, number, self._kinds) for one in re.findall(r":([a-z_]+)", sql)}
        return {one: [value] if one in lists else value for one, value in values.items()}


@contextmanager
def _undone(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("rollback")


def _outcome(connection: sqlite3.Connection, statement: str, values: list[object]) -> tuple[Any, Mapping[str, Any]]:
    """What it gives, in whatever order, and how our rows stand afterwards."""
    try:
        rows = sorted(map(repr, connection.execute(statement, values)))
    except sqlite3.IntegrityError as error:
        return str(error), contents(connection, OURS)
    return rows, contents(connection, OURS)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    alone, together = (tmp_path_factory.mktemp(name) for name in ("alone", "together"))
    for folder in (alone, together):
        asyncio.run(_make(folder))
    with closing(_opened(alone)) as one, closing(_opened(together)) as other:
        yield Twins(one, other)


async def _make(folder: Path) -> None:
    async with sqlite(folder):
        pass


def _opened(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "tracker.db", isolation_level=None)
    connection.execute("attach database ? as inbox", (str(folder / "tracker.db.inbox"),))
    return connection


def test_every_table_has_rows_of_both(twins: Twins) -> None:
    """Otherwise what follows would prove nothing about the tables that have none."""
    for account in (OURS, THEIRS):
        assert {table for table, rows in contents(twins.together, account).items() if not rows} == set()
    assert contents(twins.alone, OURS) == contents(twins.together, OURS)
    assert len(tables(twins.alone)) > 10


@pytest.mark.parametrize("name", FENCED)
def test_statement_keeps_to_its_account(twins: Twins, name: str) -> None:
    """B-7: another account whose rows have the same ids changes nothing, and is not changed."""
    assert twins.kept_apart(name, FENCED[name])


@pytest.mark.parametrize("name", BROKEN)
def test_statement_without_one_of_its_conditions_on_the_account_is_caught(twins: Twins, name: str) -> None:
    """B-7: the test above fails for every way to forget an account."""
    assert not twins.kept_apart(name, BROKEN[name]), BROKEN[name]
