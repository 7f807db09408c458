"""The audit trail: entries of both files in one list, added and never changed."""

import re
from importlib import resources

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, KEY, NOW, OTHER_ACCOUNT, an_entry
from tracker.domain.audit import ACTIONS, KEPT_FOR_MS, AuditEntry, new_entry
from tracker.storage.audit import AuditFilter, AuditTrail, OldEntries, recorded, recorded_in_inbox

pytestmark = pytest.mark.anyio

OTHER_KEY = b"another!"
ALL = AuditFilter()


async def filled(databases: Databases) -> list[AuditEntry]:
    """Entries a second apart, one in this file and the next in the other, the newest first; and one of another."""
    entries = [
        an_entry(str(number), at=NOW + 1000 * number, key=key, action=action)
        for number, (key, action) in enumerate(
            [
                (KEY, "suppression.added"),
                (None, "account.limited"),
                (OTHER_KEY, "suppression.added"),
                (KEY, "audit.read"),
                (KEY, "suppression.deleted"),
                (None, "account.confirmed"),
            ]
        )
    ]
    for entry in entries[::2]:
        await databases.inbox.write(recorded_in_inbox(entry))
    for entry in (*entries[1::2], an_entry(account=OTHER_ACCOUNT)):
        await databases.main.write(recorded(entry))
    return entries[::-1]


async def test_pages_hold_each_entry_of_both_files_once(databases: Databases) -> None:
    """The newest first, whatever the size of the page."""
    entries, trail = await filled(databases), AuditTrail(databases.main)
    assert await trail.page(ACCOUNT, ALL, limit=100, beyond=None) == entries
    for limit in (1, 2, 4):
        found, beyond = list[AuditEntry](), None
        while page := await trail.page(ACCOUNT, ALL, limit=limit, beyond=beyond):
            assert len(page) <= limit
            found += page
            beyond = page[-1].id
        assert found == entries


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        (AuditFilter(action="suppression.added"), "20"),
        (AuditFilter(key=KEY), "430"),
        (AuditFilter(key=OTHER_KEY), "2"),
        (AuditFilter(by_operator=True), "51"),
        (AuditFilter(by_operator=False), "4320"),
        (AuditFilter(since=NOW + 2000), "5432"),
        (AuditFilter(until=NOW + 2000), "10"),
        (AuditFilter(since=NOW + 1000, until=NOW + 5000, key=KEY), "43"),
        (AuditFilter(by_operator=True, key=KEY), ""),
    ],
)
async def test_filters_must_all_hold(databases: Databases, which: AuditFilter, numbers: str) -> None:
    """In both files alike, also beyond a cursor."""
    await filled(databases)
    trail = AuditTrail(databases.main)
    found = await trail.page(ACCOUNT, which, limit=100, beyond=None)
    assert [entry.subject for entry in found] == list(numbers)
    if len(found) > 1:
        assert await trail.page(ACCOUNT, which, limit=100, beyond=found[0].id) == found[1:]


async def test_entry_tells_when_and_of_what(databases: Databases) -> None:
    """Its time is that of its id."""
    entry = an_entry("x", at=NOW + 7)
    await AuditTrail(databases.main).record(entry)
    (found,) = await AuditTrail(databases.main).page(ACCOUNT, ALL, limit=9, beyond=None)
    assert (found, found.occurred_at, found.kind) == (entry, NOW + 7, "suppression")


async def test_old_entries_are_forgotten_and_young_ones_stay(databases: Databases) -> None:
    """Of every account; each file its own."""
    now = NOW + KEPT_FOR_MS
    ages = [NOW - 1, NOW - 2, NOW]
    for account in (ACCOUNT, OTHER_ACCOUNT):
        entries = [an_entry(account=account, at=at) for at in ages]
        await databases.inbox.write(*map(recorded_in_inbox, entries))
        await databases.main.write(*map(recorded, entries))
    assert await OldEntries(databases.main, databases.main.write, inbox=False).expire(now=now) == 4
    assert len(await AuditTrail(databases.main).page(ACCOUNT, ALL, limit=9, beyond=None)) == 4
    assert await OldEntries(databases.inbox, databases.inbox.write, inbox=True).expire(now=now) == 4
    for account in (ACCOUNT, OTHER_ACCOUNT):
        left = await AuditTrail(databases.main).page(account, ALL, limit=9, beyond=None)
        assert [entry.occurred_at for entry in left] == [NOW, NOW]


async def test_more_than_a_slice_of_old_entries_goes_in_one_go(databases: Databases) -> None:
    """Slice after slice, until none is left."""
    await databases.main.write(*(recorded(an_entry(at=NOW)) for _ in range(1_001)))
    old = OldEntries(databases.main, databases.main.write, inbox=False)
    assert await old.expire(now=NOW + KEPT_FOR_MS + 1) == 1_001
    assert await old.expire(now=NOW + KEPT_FOR_MS + 1) == 0


def test_no_statement_changes_an_entry() -> None:
    """They are added, read, and deleted by their age alone."""
    statements = [
        sql
        for script in (resources.files("tracker.storage") / "sql").iterdir()
        for sql in re.split(r"-- name: ", script.read_text("utf-8"))
        if re.search(r"\b(?:inbox_)?audit\b", sql.partition("\n")[2])
    ]
    assert len(statements) == 11
    assert not [sql for sql in statements if re.search(r"\bupdate\b|on conflict|replace", sql)]
    assert len([sql for sql in statements if re.search(r"\bdelete\b", sql.partition("\n")[2])]) == 2


def test_unknown_action_is_no_entry() -> None:
    """What stands in the trail is among what its readers are told."""
    with pytest.raises(ValueError, match="no such action"):
        new_entry("suppression.vanished", account=ACCOUNT, key=None, subject=None, at=NOW)
    assert list(ACTIONS) == sorted(ACTIONS)
