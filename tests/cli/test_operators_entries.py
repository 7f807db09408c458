"""What the operator's commands do to an account stands in its audit trail."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def account(run: Run) -> dict[str, Any]:
    made: dict[str, Any] = run("account", "create", "Larkspur", "--json").json
    return made


def entries_in(folder: Path) -> list[tuple[Any, ...]]:
    """Account, key, action and subject, in the order of time."""
    with closing(sqlite3.connect(folder / "tracker.db")) as connection:
        return connection.execute(
            "select lower(hex(account_id)), key_id, action, subject from audit order by rowid"
        ).fetchall()


def test_commands_leave_entries_without_a_key(run: Run, folder: Path, account: dict[str, Any]) -> None:
    """Each that changes something, once; what it is done to is an id."""
    owner = account["account"]["id"]
    key = run("key", "create", owner, "--json").json["id"]
    for command in (
        ("key", "revoke", key),
        ("account", "limit", owner),
        ("account", "confirm", owner),
        ("account", "set", owner, "--allow-host", "example.com"),
        ("block", "account", owner, "--reason", "spam"),
        ("unblock", "account", owner),
    ):
        assert run(*command).status == 0
    expected = [
        ("account.created", owner),
        ("key.created", key),
        ("key.revoked", key),
        ("account.limited", owner),
        ("account.confirmed", owner),
        ("account.hosts_changed", owner),
        ("account.blocked", owner),
        ("account.unblocked", owner),
    ]
    assert entries_in(folder) == [(owner, None, action, subject) for action, subject in expected]


def test_commands_that_change_nothing_of_an_account_leave_none(run: Run, folder: Path, account: dict[str, Any]) -> None:
    """Refused, said twice, or about what is no account's."""
    owner, key = account["account"]["id"], account["api_key"].split("_")[1]
    run("block", "account", owner, "--reason", "spam")
    run("key", "revoke", key)
    before = entries_in(folder)
    assert len(before) == 3
    for command in (
        ("block", "account", owner, "--reason", "again"),
        ("block", "host", "evil.example", "--reason", "spam"),
        ("unblock", "host", "evil.example"),
        ("key", "revoke", key),
        ("key", "create", "0" * 16),
        ("account", "limit", "0" * 16),
    ):
        run(*command)
    assert entries_in(folder) == before
