"""Suppressions by the slice, numbered like those that come one by one."""

import asyncio
from pathlib import Path

import pytest

from tests.storage.databases import Databases, sqlite
from tests.storage.samples import ACCOUNT, ADDRESS_KEY, NOW, OTHER_ACCOUNT, an_entry, an_opt_out, open_journal, rows_of
from tests.storage.test_suppression_rows import a_row, log_of, store
from tracker.domain.ids import new_id, written
from tracker.storage.database import Change, Unavailable
from tracker.storage.suppression_changes import SuppressionChanges
from tracker.storage.suppression_imports import MOST_ROWS, SuppressionImports
from tracker.storage.suppression_rows import NewSuppression

pytestmark = pytest.mark.anyio


def imports(databases: Databases) -> SuppressionImports:
    """As the serving process has them."""
    return SuppressionImports(databases.inbox, databases.inbox.write)


def some(count: int, *, first: int = 0, account: bytes = ACCOUNT) -> list[NewSuppression]:
    """Rows of so many addresses."""
    return [
        a_row(account_id=account, address_key=number.to_bytes(16, "big"), id=new_id(), email=f"p{number}@example.com")
        for number in range(first, first + count)
    ]


@pytest.mark.parametrize("count", [0, 1, MOST_ROWS])
async def test_slice_is_added_and_numbered(databases: Databases, count: int) -> None:
    """Every row once, under numbers without holes, at the time of the import."""
    rows = some(count)
    assert await imports(databases).add(rows, at=NOW + 5) == count
    assert await log_of(databases) == [(n, "added", written(row.id)) for n, row in enumerate(rows, 1)]
    changes = await SuppressionChanges(databases.main).after(ACCOUNT, 0, limit=1_000)
    assert {one.changed_at[-4:] for one in changes} <= {"005Z"}


async def test_what_stands_is_left_as_it_is(databases: Databases) -> None:
    """Neither touched nor numbered again; of the same row twice in a slice the first is taken."""
    first = some(5)
    await imports(databases).add(first, at=NOW)
    before = await rows_of(databases, "suppressions")
    again = some(7)
    assert await imports(databases).add([*again, *some(7)], at=NOW) == 2
    assert [dict(row) for row in await rows_of(databases, "suppressions")][:5] == [dict(row) for row in before]
    assert [number for number, _, _ in await log_of(databases)] == list(range(1, 8))
    assert await imports(databases).add(some(7), at=NOW) == 0
    assert len(await log_of(databases)) == 7


async def test_numbers_have_no_holes_among_other_changes(databases: Databases) -> None:
    """Slices, single rows, deletions and opt-outs of two accounts, all at once."""
    journal = await open_journal(databases)
    taking_in = SuppressionImports(databases.inbox, journal.write)

    async def one_by_one(account: bytes) -> None:
        for number in range(900, 920):
            row = some(1, first=number, account=account)[0]
            await store(databases).add(row, an_entry)
            await store(databases).delete(account, row.id, an_entry, at=NOW)
            await journal.append([an_opt_out(account=account, address_key=number.to_bytes(16, "little"))])

    async with asyncio.TaskGroup() as group:
        for account in (ACCOUNT, OTHER_ACCOUNT):
            group.create_task(one_by_one(account))
            for start in range(0, 800, 100):
                group.create_task(taking_in.add(some(100, first=start, account=account), at=NOW))
    for account in (ACCOUNT, OTHER_ACCOUNT):
        assert [number for number, _, _ in await log_of(databases, account)] == list(range(1, 861))


async def test_slice_of_too_many_is_refused(databases: Databases) -> None:
    """Its rows would be numbered from the same start twice."""
    with pytest.raises(ValueError, match=str(MOST_ROWS)):
        await imports(databases).add(some(MOST_ROWS + 1), at=NOW)


async def test_slice_is_all_or_nothing(tmp_path: Path) -> None:
    """Without its log there is no row."""
    async with sqlite(tmp_path) as databases:

        async def cut(*changes: Change) -> None:
            await databases.inbox.write(changes[0], Change("insert into nowhere values (1)"))

        with pytest.raises(Unavailable):
            await SuppressionImports(databases.inbox, cut).add(some(3), at=NOW)
        assert await rows_of(databases, "suppressions") == []


async def test_imported_opt_out_gives_way_to_the_persons_own(databases: Databases) -> None:
    """It has a message and a time of its own; the log tells both, and the journal has the event."""
    journal = await open_journal(databases)
    imported = a_row(origin="recipient", reason="unsubscribed", created_at=NOW - 5_000)
    await imports(databases).add([imported], at=NOW)
    first, second = an_opt_out(), an_opt_out(address_key=bytes([255]) * 16)
    await journal.append([first, second])
    rows = {row["address_key"]: row for row in await rows_of(databases, "suppressions")}
    assert (rows[ADDRESS_KEY]["id"], rows[ADDRESS_KEY]["created_at"]) == (first.suppression, NOW)
    assert await log_of(databases) == [
        (1, "added", written(imported.id)),
        (2, "removed", written(imported.id)),
        (3, "added", written(first.suppression)),
        (4, "added", written(second.suppression)),
    ]
    assert len(await journal.read(after=0, limit=10)) == 2


async def test_own_opt_out_gives_way_to_nothing(databases: Databases) -> None:
    """Neither to an import of the same nor to a second word of the person."""
    journal = await open_journal(databases)
    await journal.append([an_opt_out()])
    before = [dict(row) for row in await rows_of(databases, "suppressions")]
    imported = a_row(origin="recipient", reason="unsubscribed", created_at=NOW - 5_000)
    assert await imports(databases).add([imported], at=NOW) == 0
    await journal.append([an_opt_out(), an_opt_out()])
    assert [dict(row) for row in await rows_of(databases, "suppressions")] == before
    assert len(await log_of(databases)) == 1


async def test_several_imported_opt_outs_give_way_in_one_batch(databases: Databases) -> None:
    """Each removal has a number of its own."""
    journal = await open_journal(databases)
    keys = [bytes([number]) * 16 for number in range(5)]
    await imports(databases).add(
        [a_row(id=new_id(), origin="recipient", reason="unsubscribed", address_key=key) for key in keys], at=NOW
    )
    await journal.append([an_opt_out(address_key=key) for key in keys])
    assert [number for number, _, _ in await log_of(databases)] == list(range(1, 16))
