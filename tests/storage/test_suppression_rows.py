"""Suppressions row by row, and the log of what was added and removed."""

import sqlite3
from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.storage.databases import FILES_ALONE, Databases, sqlite
from tests.storage.samples import (
    ACCOUNT,
    ADDRESS_KEY,
    NOW,
    OTHER_ACCOUNT,
    a_hit,
    an_entry,
    an_opt_out,
    open_journal,
    rows_of,
)
from tests.storage.test_plans import Explaining, offences
from tracker.domain.events import Consent, EventType, Method, Undo
from tracker.domain.ids import event_id, written
from tracker.domain.times import written_time
from tracker.storage.database import Broken, Change, Stale
from tracker.storage.migrations import migrations
from tracker.storage.suppression_changes import SuppressionChanges
from tracker.storage.suppression_rows import NewSuppression, SuppressionFilter, SuppressionRows
from tracker.storage.suppressions import Suppressions

pytestmark = pytest.mark.anyio


def a_row(**given: Any) -> NewSuppression:
    """A manual block of the whole account."""
    created_at = given.get("created_at", NOW)
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "address_key": ADDRESS_KEY,
        "scope": "account",
        "topic": "",
        "reason": "manual",
        "id": event_id(created_at),
        "email": "ada@example.com",
        "note": None,
        "created_at": created_at,
    }
    return NewSuppression(**{**values, **given})


def store(databases: Databases) -> SuppressionRows:
    """As the serving process has it."""
    return SuppressionRows(databases.main, databases.inbox.write)


async def log_of(databases: Databases, account: bytes = ACCOUNT) -> list[tuple[int, str, str]]:
    """Sequence, change and id of everything that was logged."""
    changes = await SuppressionChanges(databases.main).after(account, 0, limit=1_000)
    return [(one.sequence, one.change, one.id) for one in changes]


async def test_row_is_added_once(databases: Databases) -> None:
    """The first stands, whatever the second says; the log has one entry."""
    first, second = a_row(note="first"), a_row(note="second")
    stands, new = await store(databases).add(first, an_entry)
    assert (stands.id, stands.note, new) == (written(first.id), "first", True)
    assert await store(databases).add(second, an_entry) == (stands, False)
    assert await log_of(databases) == [(1, "added", stands.id)]


async def test_deleting_touches_one_row(databases: Databases) -> None:
    """Beside it stand rows of the same address that differ in one thing each, and that of another account."""
    rows = [
        a_row(),
        a_row(reason="bounced"),
        a_row(scope="topic", topic="offers"),
        a_row(address_key=bytes(16)),
        a_row(account_id=OTHER_ACCOUNT),
    ]
    for row in rows:
        await store(databases).add(row, an_entry)
    await store(databases).delete(ACCOUNT, rows[0].id, an_entry, at=NOW)
    left = {row["id"] for row in await rows_of(databases, "suppressions")}
    assert left == {row.id for row in rows[1:]}
    assert (await log_of(databases))[-1] == (5, "removed", written(rows[0].id))


async def test_deleting_what_is_not_there_is_no_change(databases: Databases) -> None:
    """Neither a second time nor in another account."""
    row = a_row()
    await store(databases).add(row, an_entry)
    with pytest.raises(Stale):
        await store(databases).delete(OTHER_ACCOUNT, row.id, an_entry, at=NOW)
    assert await store(databases).find(ACCOUNT, row.id) is not None
    await store(databases).delete(ACCOUNT, row.id, an_entry, at=NOW)
    with pytest.raises(Stale):
        await store(databases).delete(ACCOUNT, row.id, an_entry, at=NOW)
    assert await store(databases).find(ACCOUNT, row.id) is None
    assert [change for _, change, _ in await log_of(databases)] == ["added", "removed"]


async def test_row_and_its_log_are_one_transaction(databases: Databases) -> None:
    """Where the one cannot be written, neither is the other."""
    await databases.inbox.change("drop table suppression_changes")
    with pytest.raises(OSError, match="suppression_changes"):
        await store(databases).add(a_row(), an_entry)
    assert await rows_of(databases, "suppressions") == await rows_of(databases, "suppression_counters") == []


async def test_opt_outs_of_one_batch_are_numbered_one_by_one(databases: Databases) -> None:
    """By account, without holes; the second opt-out of an address has no number."""
    journal = await open_journal(databases)
    keys = [bytes([number]) * 16 for number in range(4)]
    batch = [an_opt_out(address_key=key) for key in (*keys, keys[0])]
    theirs = an_opt_out(account=OTHER_ACCOUNT)
    await journal.append([*batch[:2], theirs, *batch[2:]])
    await store(databases).add(a_row(), an_entry)
    logged = await log_of(databases)
    assert [sequence for sequence, _, _ in logged] == [1, 2, 3, 4, 5]
    assert [identifier for _, _, identifier in logged[:4]] == [written(one.suppression) for one in batch[:4]]
    assert await log_of(databases, OTHER_ACCOUNT) == [(1, "added", written(theirs.suppression))]


async def test_numbers_are_never_given_twice(databases: Databases) -> None:
    """Not even when all that was logged has been forgotten."""
    await store(databases).add(a_row(), an_entry)
    await databases.inbox.change("delete from suppression_changes")
    await store(databases).add(a_row(reason="bounced"), an_entry)
    assert [sequence for sequence, _, _ in await log_of(databases)] == [2]


async def test_log_keeps_no_address_and_no_note(databases: Databases) -> None:
    """They go with their row: nothing has to be hunted down when a person is erased."""
    row = a_row(note="by phone")
    await store(databases).add(row, an_entry)
    await store(databases).delete(ACCOUNT, row.id, an_entry, at=NOW)
    assert "ada@example.com" not in str(await rows_of(databases, "suppression_changes"))
    assert "by phone" not in str(await rows_of(databases, "suppression_changes"))


async def test_rows_given_by_customers_count_in_checks(databases: Databases) -> None:
    """Both read the same table."""
    await store(databases).add(a_row(reason="bounced"), an_entry)
    found = await Suppressions(databases.inbox).matching(ACCOUNT, [ADDRESS_KEY], None)
    assert found[ADDRESS_KEY].reason == "bounced"


async def test_nothing_is_written_after_a_write_that_failed(databases: Databases) -> None:
    """Nobody knows what the disk holds: until a restart no row is acknowledged."""
    journal = await open_journal(databases)
    rows = SuppressionRows(databases.main, journal.write)
    await rows.add(a_row(), an_entry)
    journal._broken = Broken("an fsync failed")
    with pytest.raises(Broken, match="restart the server"):
        await rows.add(a_row(reason="bounced"), an_entry)
    assert len(await rows_of(databases, "suppressions")) == 1


async def test_time_in_the_row_decides_what_is_since(databases: Databases) -> None:
    """An id is made a little later, perhaps in another millisecond: it only says where to begin."""
    for number in range(3):
        created_at = NOW + number
        await store(databases).add(
            a_row(address_key=bytes([number]) * 16, created_at=created_at, id=event_id(NOW + 5)), an_entry
        )
    found = await store(databases).page(ACCOUNT, SuppressionFilter(since=NOW + 1), limit=9, beyond=None)
    assert sorted(row.created_at for row in found) == [written_time(NOW + 1), written_time(NOW + 2)]


async def test_lift_of_what_is_gone_changes_nothing(databases: Databases) -> None:
    """Of two at once the second finds no row: no event, no consent and no number is left of it."""
    journal = await open_journal(databases)
    opt_out = an_opt_out()
    await journal.append([opt_out])
    consent = Consent(consented_at=NOW + 1, method="form", evidence="17")
    hit = a_hit(type=EventType.RESUBSCRIBED, method=Method.LIFT, occurred_at=NOW + 2)
    lift = Undo(hit=hit, suppression=opt_out.suppression, consent=consent)
    await journal.append([lift, lift])
    assert [row["type"] for row in await journal.read(after=0, limit=9)] == ["unsubscribed", "resubscribed"]
    assert [change for _, change, _ in await log_of(databases)] == ["added", "removed"]
    (kept,) = await rows_of(databases, "suppression_lifts")
    assert (kept["opted_out_at"], kept["consented_at"], kept["method"]) == (NOW, NOW + 1, "form")


async def test_lift_of_what_was_said_again_changes_nothing(databases: Databases) -> None:
    """Also when it was, after the consent was found to be younger: no event, no consent and no number is left of it."""
    journal = await open_journal(databases)
    opt_out = an_opt_out()
    await journal.append([opt_out])
    await journal.append([an_opt_out(occurred_at=NOW + 5)])
    consent = Consent(consented_at=NOW + 5, method="form", evidence="17")
    hit = a_hit(type=EventType.RESUBSCRIBED, method=Method.LIFT, occurred_at=NOW + 6)
    audit = an_entry(None)
    await journal.append([Undo(hit=hit, suppression=opt_out.suppression, consent=consent, audit=audit)])
    assert [row["id"] for row in await rows_of(databases, "suppressions")] == [opt_out.suppression]
    assert [row["type"] for row in await journal.read(after=0, limit=9)] == ["unsubscribed"]
    assert [change for _, change, _ in await log_of(databases)] == ["added"]
    assert await rows_of(databases, "suppression_lifts") == await rows_of(databases, "inbox_audit") == []


async def test_opt_out_beside_a_lift_stands(databases: Databases) -> None:
    """Whichever came first into the batch: the person's last word is not lost."""
    journal = await open_journal(databases)
    first, second = an_opt_out(), an_opt_out()
    await journal.append([first])
    consent = Consent(consented_at=NOW + 1, method="form", evidence="17")
    lift = Undo(hit=a_hit(type=EventType.RESUBSCRIBED), suppression=first.suppression, consent=consent)
    await journal.append([second, lift])
    assert [row["id"] for row in await rows_of(databases, "suppressions")] == [second.suppression]


FILTERS: dict[str, Any] = {
    "reason": "manual",
    "scope": "account",
    "topic": "offers",
    "origin": "customer",
    "since": NOW,
}


async def test_questions_stay_within_an_account_and_use_an_index(tmp_path: Path) -> None:
    """Every filter, every two of them and all together; no page of the whole account is sorted."""
    assert set(FILTERS) == set(SuppressionFilter.__struct_fields__)
    async with sqlite(tmp_path) as databases:
        explaining = Explaining(databases.main)
        rows = SuppressionRows(explaining, databases.inbox.write)  # type: ignore[arg-type]
        for names in (names for size in (0, 1, 2, len(FILTERS)) for names in combinations(FILTERS, size)):
            which = SuppressionFilter(**{name: FILTERS[name] for name in names})
            for beyond in (None, bytes(16)):
                await rows.page(ACCOUNT, which, limit=100, beyond=beyond)
    for sql, plan in explaining.asked.items():
        assert offences(plan) == [], sql
        assert not [step for step in plan if "TEMP B-TREE" in step], sql


@FILES_ALONE
async def test_rows_of_an_address_are_found_by_it(databases: Databases) -> None:
    """Not by looking through the whole account."""
    explaining = Explaining(databases.main)
    await SuppressionRows(explaining, databases.inbox.write).of_address(ACCOUNT, ADDRESS_KEY)  # type: ignore[arg-type]
    (plan,) = explaining.asked.values()
    assert offences(plan) == []
    assert "(account_id=? AND address_key=?)" in plan[0]


def test_rows_of_an_earlier_release_are_in_the_log() -> None:
    """Who follows the log from its start gets all that stands."""
    first, second, *_ = migrations("inbox")
    with closing(sqlite3.connect(":memory:")) as inbox:
        for statement in first.statements:
            inbox.execute(statement)
        for account, number in ((b"a", 3), (b"b", 2), (b"a", 1)):
            inbox.execute(
                "insert into suppressions values (?, ?, 'account', '', 'unsubscribed', 'recipient', ?, ?, ?)",
                (account, bytes([number]), bytes([number]), b"message", number),
            )
        for statement in second.statements:
            inbox.execute(statement)
        found = inbox.execute(
            "select account_id, sequence, change, changed_at, suppression_id from suppression_changes order by 1, 2"
        ).fetchall()
        counters = inbox.execute("select * from suppression_counters order by 1").fetchall()
    assert found == [(b"a", 1, "added", 1, b"\1"), (b"a", 2, "added", 3, b"\3"), (b"b", 1, "added", 2, b"\2")]
    assert counters == [(b"a", 2), (b"b", 1)]


async def test_change_of_the_inbox_is_all_or_nothing(databases: Databases) -> None:
    """The journal's own way of writing, for those who change the same file."""
    journal = await open_journal(databases)
    with pytest.raises(OSError, match="nowhere"):
        await journal.write(Change("update heartbeat set at = 5"), Change("delete from nowhere"))
    assert [row["at"] for row in await rows_of(databases, "heartbeat")] == [0]
