"""Statements as they stand in files, and what is made of them."""

import re
from importlib import resources

import pytest

from tracker.storage.statements import list_names, load_statements, spread, take_apart

SUBJECTS = [script.name.removesuffix(".sql") for script in (resources.files("tracker.storage") / "sql").iterdir()]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_statement_of_a_file_is_loaded(subject: str) -> None:
    """Under its name, without its comments, and with nothing of the next one."""
    text = (resources.files("tracker.storage") / "sql" / f"{subject}.sql").read_text("utf-8")
    loaded = load_statements(subject)
    assert list(loaded) == sorted(loaded)
    assert sorted(loaded) == sorted(re.findall(r"^-- name: (\w+)", text, re.MULTILINE))
    for sql in loaded.values():
        assert sql
        assert "--" not in sql
        assert ";" not in sql


@pytest.mark.parametrize("subject", SUBJECTS)
def test_statements_hold_nothing_that_one_database_alone_understands(subject: str) -> None:
    """Ids, times and numbers are made by us; what is left is SQL."""
    for name, sql in load_statements(subject).items():
        assert not re.search(
            r"\bnow\(|current_timestamp|autoincrement|\bserial\b|\bor (replace|ignore)\b|rowid|\?|::|\bisnull\b|glob\b",
            sql,
            re.IGNORECASE,
        ), name


def test_insert_of_parameters_alone_is_taken_apart() -> None:
    """So that one statement inserts many rows."""
    bulk = take_apart("insert into t\n    (a, b)\nvalues\n    (:a, :b)\non conflict do nothing")
    assert bulk is not None
    assert bulk.names == ("a", "b")
    assert bulk.statement(1) == "insert into t\n    (a, b)\nvalues\n    (?, ?)\non conflict do nothing"
    assert bulk.statement(3).count("(?, ?)") == 3


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "insert into t (a, b) values (:a, 'constant')",
        "insert into t (a, b) values (:a, :b) on conflict do update set b = :c",
        "insert into t (a) select :a from u",
        "with u as (select :x) insert into t (a) values (:a)",
        "update t set a = :a where b in (:b)",
    ],
)
def test_other_statements_are_left_whole(sql: str) -> None:
    """They run once a row, with parameters by name."""
    assert take_apart(sql) is None


def test_list_is_written_out_where_it_stands() -> None:
    """In its place among the others, filled up to a power of two with an item that is in it."""
    sql = "select a from t where b = :b and c in (:cs) and d > :b and e in (:es)"
    assert list_names(sql) == ("cs", "es")
    statement, values = spread(sql, {"b": 1, "cs": [2, 3, 4], "es": (5,)})
    assert statement == "select a from t where b = ? and c in (?, ?, ?, ?) and d > ? and e in (?)"
    assert values == [1, 2, 3, 4, 4, 1, 5]


def test_empty_list_matches_nothing() -> None:
    """Not even what is null."""
    assert spread("select a from t where b in (:bs)", {"bs": []}) == ("select a from t where b in (?)", [None])


def test_forms_of_a_statement_are_few() -> None:
    """Each is prepared once and kept: one for every doubling of the longest list."""
    sql = "select a from t where b in (:bs)"
    sizes = [*range(1_025), 2_048, 4_096, 8_192, 10_000]
    assert len({spread(sql, {"bs": [0] * size})[0] for size in sizes}) == 15
