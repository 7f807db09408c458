"""What follows from the journal is stored whole, or not at all, and numbered without holes."""

import asyncio
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.databases import FILES_ALONE, Databases
from tests.storage.samples import (
    ACCOUNT,
    MESSAGE,
    OTHER_ACCOUNT,
    add_accounts,
    an_event,
    contents,
    rows_of,
    store_events,
)
from tracker.storage.database import Change, Database, Stale
from tracker.storage.migrations import migrations
from tracker.storage.projections import CampaignCount, Projected, Projection, Projections, RefusedRow

pytestmark = pytest.mark.anyio

TABLES = ("accounts", "events", "message_counts", "campaign_counts", "projection", "refused")


def a_projection(old: int = 0, new: int = 3) -> Projection:
    """One that writes to every table."""
    return Projection(
        old=old,
        new=new,
        events=[an_event(message_id=MESSAGE), an_event(account_id=OTHER_ACCOUNT)],
        message_counts=[((ACCOUNT, MESSAGE, "opened", "human"), 1)],
        campaign_counts=[CampaignCount(ACCOUNT, "spring", 0, "opened", "human", 1, 1)],
        refused=[
            RefusedRow(
                hit="{}",
                account_id=ACCOUNT,
                journal_key=3,
                message_id=MESSAGE,
                type="x",
                occurred_at=1,
                error="ValueError",
            )
        ],
        dropped=2,
    )


async def test_slice_is_stored_with_its_mark(databases: Databases) -> None:
    """Events, counts, what was set aside, and how far it reaches."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    projections = Projections(databases.main)
    await projections.store(a_projection(), await projections.sequences([ACCOUNT, OTHER_ACCOUNT]))
    assert await projections.mark() == (0 if databases.main.whole else 3)
    assert await projections.sequences([ACCOUNT, OTHER_ACCOUNT, bytes(8)]) == {ACCOUNT: 1, OTHER_ACCOUNT: 1}
    assert await projections.counted(ACCOUNT, [MESSAGE, bytes(16)]) == {(ACCOUNT, MESSAGE, "opened", "human")}
    assert await projections.counted(OTHER_ACCOUNT, [MESSAGE]) == set()
    assert [row["dropped"] for row in await rows_of(databases, "projection")] == [2]
    assert [row["error"] for row in await rows_of(databases, "refused")] == ["ValueError"]


async def test_counts_add_up(databases: Databases) -> None:
    """Slice after slice."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    projections = Projections(databases.main)
    for mark in range(3):
        await projections.store(a_projection(mark, mark + 1), await projections.sequences([ACCOUNT, OTHER_ACCOUNT]))
    assert [row["total"] for row in await rows_of(databases, "message_counts")] == [3]
    assert [(row["total"], row["uniques"]) for row in await rows_of(databases, "campaign_counts")] == [(3, 3)]
    assert (await projections.projected())._replace(mark=3) == Projected(mark=3, events=6, dropped=6, refused=3)


async def test_what_was_set_aside_before_it_was_counted_is_counted(databases: Databases) -> None:
    """An installation that is brought to this release."""
    projections = Projections(databases.main)
    await projections.store(Projection(old=0, new=3, refused=a_projection().refused), {})
    [script] = [one for one in migrations("main") if one.name.endswith("projection_counts")]
    drops = [Change(f"alter table projection drop column {name}") for name in ("events", "refused")]
    await databases.main.write(*drops, *(Change(statement) for statement in script.statements))
    assert (await projections.projected())._replace(mark=3) == Projected(mark=3, events=0, dropped=0, refused=1)


@FILES_ALONE
@pytest.mark.parametrize("old", [0, 2, 4])
async def test_slice_that_does_not_begin_at_the_mark_is_stale(databases: Databases, old: int) -> None:
    """Another projector was faster: nothing changes."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    projections = Projections(databases.main)
    await projections.store(Projection(old=0, new=3), {})
    sequences = await projections.sequences([ACCOUNT, OTHER_ACCOUNT])
    before = await contents(databases, *TABLES)
    with pytest.raises(Stale):
        await projections.store(a_projection(old, 9), sequences)
    assert await contents(databases, *TABLES) == before


async def test_slice_numbered_after_an_old_sequence_is_stale(databases: Databases) -> None:
    """No number is given twice: nothing changes, not even the mark."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    projections = Projections(databases.main)
    await projections.store(a_projection(), sequences := await projections.sequences([ACCOUNT, OTHER_ACCOUNT]))
    before = await contents(databases, *TABLES)
    with pytest.raises(Stale):
        await projections.store(a_projection(3, 4), {**sequences, OTHER_ACCOUNT: 1})
    assert await contents(databases, *TABLES) == before


async def test_two_that_store_the_same_slice_store_it_once(databases: Databases) -> None:
    """Whoever comes second is told."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    projections = Projections(databases.main)
    sequences = await projections.sequences([ACCOUNT, OTHER_ACCOUNT])
    stored = await asyncio.gather(
        *(projections.store(a_projection(), sequences) for _ in range(5)), return_exceptions=True
    )
    assert Counter(type(one) for one in stored) == {type(None): 1, Stale: 4}
    assert len(await rows_of(databases, "events")) == 2


@pytest.mark.parametrize("table", TABLES)
async def test_slice_is_whole_whichever_statement_fails(databases: Databases, table: str) -> None:
    """And goes in as it is once nothing fails any more."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    projections = Projections(databases.main)
    sequences = await projections.sequences([ACCOUNT, OTHER_ACCOUNT])
    before = await contents(databases, *TABLES)
    await databases.main.change(f"alter table {table} rename to hidden")
    with pytest.raises((ValueError, OSError), match=table):
        await projections.store(a_projection(), sequences)
    await databases.main.change(f"alter table hidden rename to {table}")
    assert await contents(databases, *TABLES) == before
    await projections.store(a_projection(), sequences)
    after = await contents(databases, *TABLES)
    assert all(after[name] != before[name] for name in TABLES)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(slices=st.lists(st.lists(st.sampled_from([ACCOUNT, OTHER_ACCOUNT]), max_size=12), min_size=1, max_size=6))
async def test_sequences_have_no_holes(databases: Databases, slices: list[list[bytes]]) -> None:
    """Each account counts for itself, from one on, in the order of its events."""
    if not await Projections(databases.main).sequences([ACCOUNT]):
        await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    for accounts in slices:
        await store_events(databases, [an_event(account_id=account) for account in accounts])
    await expect_no_holes(databases.main)


async def expect_no_holes(database: Database) -> None:
    for row in await database.fetch("select id, sequence from accounts"):
        numbers = await database.fetch(
            "select sequence from events where account_id = :a order by sequence", a=row["id"]
        )
        assert [number["sequence"] for number in numbers] == list(range(1, row["sequence"] + 1))


async def test_row_is_set_aside_once(databases: Databases) -> None:
    """A turn that is done again does not stumble over it."""
    projections = Projections(databases.main)
    refused = a_projection().refused
    await projections.store(Projection(old=0, new=3, refused=refused), {})
    await projections.store(Projection(old=3, new=4, refused=refused), {})
    assert len(await rows_of(databases, "refused")) == 1
