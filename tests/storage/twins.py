"""Two accounts whose rows have the same ids and other contents, in every table that holds rows of accounts.

Real ids are random, so a statement that forgets its account would nearly always find nothing. Here it finds the twin.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

OURS, THEIRS = b"account1", b"account2"
ROWS = range(3)

_IDS = [bytes([number]) * 16 for number in range(6)]

_WORDS: Mapping[str, Sequence[Any]] = {
    "change": ["added", "added", "removed"],
    "key_id": [_IDS[0], None, _IDS[2]],
    "made": [b"made"] * 3,
    "metadata": ["{}"] * 3,
    "origin": ["recipient", "customer", "report"],
    "reason": ["unsubscribed", "manual", "bounced"],
    "revoked_at": [None] * 3,
    "scopes": ["account", "events", "messages"],
    "scope": ["account", "account", "topic"],
    "topic": ["", "offers", "news"],
    "type": ["unsubscribed", "clicked", "opened"],
}
"""What stands in columns whose contents have a meaning; others hold a number, an id or a word of their own."""

_LAST = b"\xff" * 16

_PARAMETERS: Mapping[str, Any] = {
    "account": OURS,
    "account_id": OURS,
    "account_ids": OURS,
    "api_keys.created_at": 0,
    "api_keys.revoked_at": 9,
    **{
        f"{subject}.{name}": value
        for subject in ("audit", "inbox_audit")
        for name, value in (("before", _LAST), ("expired", _LAST), ("since", b""), ("until", _LAST))
    },
    "inbox_audit.audit_id": _LAST,
    "erasures.generation": 9,
    "events.after": b"",
    "events.after_sequence": 0,
    "events.gathered": 100,
    "events.last_sequence": 9,
    "events.most": 100,
    "events.passed": 0,
    "events.since": b"",
    "events.until": _LAST,
    "journal.id": 100,
    "journal.occurred_at": 1_000,
    "limit": 100,
    "new": 50,
    "receipts.expired": 2,
    "said_before": 2**62,
    "suppression_changes.after": 0,
    "suppression_rows.before": _LAST,
    "suppression_rows.since": 0,
    "suppression_rows.since_id": b"",
    "topics.beyond": b"",
}
"""What statements are given for parameters, by name or by subject and name, that ask for no row in particular."""

_TRIED: Mapping[str, Sequence[Any]] = {
    "api_keys.id": [_IDS[0], _IDS[1], _IDS[4]],
}
"""As above, by the number of the row, where ids are nobody's twice: some of ours, and one of theirs."""

_COLUMNS: Mapping[str, str] = {
    "address_keys": "address_key",
    "consent_method": "method",
    "before": "made",
    "email": "address",
    "ids": "id",
    "keys": "address_key",
    "message": "message_id",
    "message_ids": "message_id",
    "old": "sequence",
    "recipient": "recipient_id",
    "types": "type",
}
"""The columns that parameters of another name are compared with."""


def fill(connection: sqlite3.Connection, *accounts: bytes) -> None:
    """Three rows of each of these accounts in every table, or as many as may be."""
    for table in tables(connection):
        columns = connection.execute("select name, type from pragma_table_info(?)", (table,)).fetchall()
        unique = _unique(connection, table)
        for account in accounts:
            for number in ROWS:
                row = [
                    account if name == owner(table) else _value(name, kind, _place(name, unique, account, number))
                    for name, kind in columns
                ]
                if table == "suppressions" and number == 0:
                    # An opt-out that was imported is of no message.
                    row = [None if name == "message_id" else cell for (name, _), cell in zip(columns, row, strict=True)]
                # A table may have room for one row of an account only.
                with suppress(sqlite3.IntegrityError):
                    connection.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)


def tables(connection: sqlite3.Connection) -> list[str]:
    """The tables with rows of accounts, and that of the accounts themselves."""
    found = connection.execute(
        "select m.name, max(c.name = 'account_id') from"
        " (select name from main.sqlite_master where type = 'table'"
        " union select name from inbox.sqlite_master where type = 'table') m, pragma_table_info(m.name) c group by 1"
    )
    return [name for name, owned in found if owned or name == "accounts"]


def owner(table: str) -> str:
    """The column that says whose a row is."""
    return "id" if table == "accounts" else "account_id"


def contents(connection: sqlite3.Connection, account: bytes) -> dict[str, list[str]]:
    """All that stands in the tables for an account."""
    return {table: _rows(connection, table, account) for table in tables(connection)}


def kinds(connection: sqlite3.Connection) -> dict[str, str]:
    """The types of all columns by name. An ``id`` is bytes, but in the journal."""
    found: dict[str, str] = {}
    for table in tables(connection):
        found.update(connection.execute("select name, type from pragma_table_info(?)", (table,)).fetchall())
    return {**found, "id": "bytea"}


def given(subject: str, name: str, number: int, kinds: Mapping[str, str]) -> Any:
    """What a statement of ours is given for a parameter, to ask about the row of this number.

    Raises ``LookupError`` for a name that says nothing: it needs its line in ``_PARAMETERS`` or ``_COLUMNS``.
    """
    for known in (f"{subject}.{name}", name):
        if known in _TRIED:
            return _TRIED[known][number]
        if known in _PARAMETERS:
            return _PARAMETERS[known]
    column = _COLUMNS.get(name, name)
    if column not in kinds:
        raise LookupError(f"say in tests/storage/twins.py what :{name} of {subject}.sql is given")
    return _value(column, kinds[column], number)


def _rows(connection: sqlite3.Connection, table: str, account: bytes) -> list[str]:
    return sorted(map(repr, connection.execute(f"select * from {table} where {owner(table)} = ?", (account,))))


def _unique(connection: sqlite3.Connection, table: str) -> set[str]:
    """The columns that tell a row from others, perhaps together with the account."""
    found = connection.execute(
        'select c.name from pragma_index_list(:table) i, pragma_index_info(i.name) c where i."unique"'
        " union select name from pragma_table_info(:table) where pk > 0",
        {"table": table},
    )
    return {name for (name,) in found}


def _place(column: str, unique: set[str], account: bytes, number: int) -> int:
    """Which value a column gets: the twin's row has the same keys, and belongs to other things than ours."""
    if account == OURS or (column in unique and "account_id" in unique):
        return number
    return number + len(ROWS) if column in unique else (number + 1) % len(ROWS)


def _value(column: str, kind: str, number: int) -> Any:
    if column in _WORDS:
        return _WORDS[column][number]
    if kind == "bytea":
        return _IDS[number]
    return f"{column} {number}" if kind == "text" else number + 1
