"""The three verbs: what every database promises to the stores."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.databases import Databases
from tracker.storage.database import Change, Database, Refused, Stale

pytestmark = pytest.mark.anyio

INSERT = "insert into sample (account_id, id, name) values (:account_id, :id, :name)"
SELECT = "select account_id, id, name from sample where account_id = :account_id order by id"

ACCOUNT = b"a"


@pytest.fixture
async def database(databases: Databases) -> Database:
    """A database with a table of our own."""
    await databases.main.change(
        "create table sample (account_id bytea not null, id bigint not null, name text, primary key (account_id, id))"
    )
    return databases.main


def row(number: int, name: str | None = "x") -> dict[str, object]:
    return {"account_id": ACCOUNT, "id": number, "name": name}


async def ids(database: Database, account: bytes = ACCOUNT) -> list[int]:
    return [found["id"] for found in await database.fetch(SELECT, account_id=account)]


async def test_what_is_written_is_fetched(database: Database) -> None:
    """At once, by whoever asks; values come back as they went in."""
    given_rows = [row(1, "å\u2028x"), row(2, None), row(-(2**63), ""), row(2**63 - 1, "'; drop table sample; --")]
    await database.write(Change(INSERT, given_rows))
    found = [dict(one) for one in await database.fetch(SELECT, account_id=ACCOUNT)]
    assert found == sorted(given_rows, key=lambda one: str(one["id"]) and int(str(one["id"])))


async def test_change_gives_what_its_statement_returns(database: Database) -> None:
    """A statement in a transaction of its own."""
    returned = await database.change(f"{INSERT} returning id, name", **row(7))
    assert [dict(one) for one in returned] == [{"id": 7, "name": "x"}]
    assert await database.change("update sample set name = 'y' where id = :id returning id", id=8) == []
    assert await ids(database) == [7]


@pytest.mark.parametrize("bad", range(4))
async def test_write_is_all_or_nothing(database: Database, bad: int) -> None:
    """Whichever of the changes fails, none is there."""
    changes = [Change(INSERT, [row(number)]) for number in (1, 2, 3)]
    changes.insert(bad, Change(INSERT, [row(number, str(number)) for number in (10, 11, 11)]))
    with pytest.raises(Refused):
        await database.write(*changes)
    assert await ids(database) == []


@pytest.mark.parametrize(
    "change",
    [
        Change(INSERT, [row(number) for number in (*range(600), 599)]),
        Change(INSERT, [row(number) for number in (1, 2, 2)]),
        Change("insert into sample (account_id, id, name) values (:account_id, :id, 'x')", [row(1), row(2), row(2)]),
    ],
    ids=["many rows", "few rows", "row by row"],
)
async def test_single_change_is_all_or_nothing(database: Database, change: Change) -> None:
    """Also where it takes no more than one statement, or many."""
    with pytest.raises(Refused):
        await database.write(change)
    assert await ids(database) == []


@pytest.mark.parametrize("rows", [1, 3, 600])
async def test_single_change_that_touches_another_number_of_rows_is_undone(database: Database, rows: int) -> None:
    """It is known only after it is done."""
    with pytest.raises(Stale):
        await database.write(Change(INSERT, [row(number) for number in range(rows)], affects=rows + 1))
    assert await ids(database) == []


@pytest.mark.parametrize("affects", [0, 1, 3])
async def test_change_that_touches_another_number_of_rows_is_undone(database: Database, affects: int) -> None:
    """Somebody was there before: nothing of the transaction happens."""
    await database.write(Change(INSERT, [row(1), row(2)]))
    rename = "update sample set name = 'new' where account_id = :account_id"
    with pytest.raises(Stale):
        await database.write(
            Change(INSERT, [row(3)]),
            Change(f"{rename} and id < 3", [{"account_id": ACCOUNT}], affects=affects),
        )
    assert [dict(one) for one in await database.fetch(SELECT, account_id=ACCOUNT)] == [row(1), row(2)]
    await database.write(Change(rename, [{"account_id": ACCOUNT}], affects=2))
    assert {one["name"] for one in await database.fetch(SELECT, account_id=ACCOUNT)} == {"new"}


@pytest.mark.parametrize("rows", [1, 2, 300])
async def test_affects_counts_all_rows_of_a_change(database: Database, rows: int) -> None:
    """However many statements it takes to insert them; a row that was there already does not count."""
    numbered = [row(number) for number in range(rows)]
    await database.write(Change(INSERT, numbered, affects=rows))
    again = Change(f"{INSERT} on conflict do nothing", [*numbered, row(1_000)], affects=1)
    await database.write(again)
    with pytest.raises(Stale):
        await database.write(again)


@pytest.mark.parametrize(
    "bad",
    [
        row(1),
        {**row(2), "account_id": None},
        row(2**63),
        row(2, "half a \ud800 pair"),
        {**row(2), "name": object()},
    ],
    ids=["twice", "null", "too large", "surrogate", "no value"],
)
@pytest.mark.parametrize("beside", [[], [row(5), row(6)]], ids=["alone", "among others"])
async def test_data_that_cannot_be_stored_is_refused(
    database: Database, bad: dict[str, object], beside: list[dict[str, object]]
) -> None:
    """It is the data's fault: to try again is of no use, and the database goes on."""
    await database.write(Change(INSERT, [row(1)]))
    with pytest.raises(Refused):
        await database.write(Change(INSERT, [*beside, bad]))
    with pytest.raises(Refused):
        await database.change(INSERT, **bad)
    await database.write(Change(INSERT, [row(3)]))
    assert await ids(database) == [1, 3]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 10_000])
async def test_list_stands_where_a_parameter_does(database: Database, size: int) -> None:
    """Every item counts and nothing else, however long the list."""
    await database.write(Change(INSERT, [row(number) for number in range(0, 20_000, 2)]))
    wanted = random.Random(size).sample(range(20_000), size)
    sql = "select id from sample where account_id = :account_id and id in (:wanted) and id >= :least"
    found = await database.fetch(sql, account_id=ACCOUNT, wanted=wanted, least=0)
    assert sorted(one["id"] for one in found) == sorted(number for number in wanted if number % 2 == 0)


async def test_lists_may_stand_in_a_change(database: Database) -> None:
    """Two of them, too."""
    await database.write(Change(INSERT, [row(number, str(number % 3)) for number in range(9)]))
    sql = "delete from sample where id in (:wanted) and name in (:names) returning id"
    deleted = await database.change(sql, wanted=[1, 2, 3, 99], names=["1", "2"])
    assert sorted(one["id"] for one in deleted) == [1, 2]


async def test_list_parameter_that_is_no_list_is_an_error(database: Database) -> None:
    """A mistake of ours, said as such, and nothing stays locked behind it."""
    with pytest.raises(TypeError, match="'wanted' must be a list"):
        await database.change("delete from sample where id in (:wanted)", wanted=b"bytes")
    await database.write(Change(INSERT, [row(1)]))


FRESH = (f"account {number}".encode() for number in count())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.integers(0, 700).flatmap(lambda size: st.just([f"name {number}" for number in range(size)]))
    | st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=20),
    tuples=st.booleans(),
)
async def test_rows_together_are_stored_as_one_by_one(
    database: Database, names: Sequence[str | None], tuples: bool
) -> None:
    """The form of the statement is nobody's business: any number of rows, as mappings or as tuples."""
    together, one_by_one = next(FRESH), next(FRESH)
    rows = [(together, number, name) for number, name in enumerate(names)]
    mappings = [dict(zip(("account_id", "id", "name"), values, strict=True)) for values in rows]
    await database.write(Change(INSERT, rows if tuples else mappings, affects=len(rows)))
    await database.write(*(Change(INSERT, [{**mapping, "account_id": one_by_one}]) for mapping in mappings))
    stored = [
        [(found["id"], found["name"]) for found in await database.fetch(SELECT, account_id=account)]
        for account in (together, one_by_one)
    ]
    assert stored[0] == stored[1] == list(enumerate(names))


async def test_transaction_is_whole_whenever_its_caller_is_cancelled(database: Database) -> None:
    """200 callers cut off at random: each transaction is there or not, and none stays open."""
    chance, outcomes = random.Random(1), set[bool]()

    async def pair(number: int) -> None:
        await database.write(Change(INSERT, [row(2 * number)]), Change(INSERT, [row(2 * number + 1)]))

    async def cut_off(number: int, within_s: float) -> None:
        caller = asyncio.create_task(pair(number))
        # Some are left much time, however slow the disk has become since.
        await asyncio.wait({caller}, timeout=chance.random() * within_s * chance.choice((1, 1, 1, 50)))
        caller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await caller
        outcomes.add(caller.cancelled())

    begun = time.perf_counter()
    await asyncio.gather(*(pair(number) for number in range(1_000, 1_020)))
    usual_s = (time.perf_counter() - begun) / 20
    for number in range(0, 200, 4):
        await asyncio.gather(*(cut_off(one, 4 * usual_s) for one in range(number, number + 4)))
    # What was begun is finished before what comes after it.
    await pair(2_000)
    stored = set(await ids(database))
    assert all((number ^ 1) in stored for number in stored)
    assert 4_001 in stored
    assert outcomes == {True, False}


async def test_cancelled_reads_leave_the_readers_usable(database: Database) -> None:
    """More of them than there are readers."""
    await database.write(Change(INSERT, [row(number) for number in range(2_000)]))
    chance = random.Random(2)
    for _ in range(50):
        reading = asyncio.create_task(ids(database))
        await asyncio.wait({reading}, timeout=chance.random() * 0.003)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    found = await asyncio.gather(*(ids(database) for _ in range(20)))
    assert {len(one) for one in found} == {2_000}


async def test_transactions_of_many_callers_do_not_mix(database: Database) -> None:
    """One that fails takes nothing of another with it."""
    await database.write(Change(INSERT, [row(-1)]))

    async def good(number: int) -> None:
        await database.write(Change(INSERT, [row(number)]), Change(INSERT, [row(number + 1_000)]))

    async def bad(number: int) -> None:
        with pytest.raises(Refused):
            await database.write(Change(INSERT, [row(number + 5_000)]), Change(INSERT, [row(-1)]))

    await asyncio.gather(*((bad if number % 3 == 0 else good)(number) for number in range(60)))
    kept = [number for number in range(60) if number % 3]
    assert await ids(database) == [-1, *kept, *(number + 1_000 for number in kept)]


async def test_a_reader_changes_nothing(database: Database) -> None:
    """``fetch`` reads, even if the statement would write."""
    with pytest.raises((OSError, ValueError)):
        await database.fetch(f"{INSERT} returning id", **row(1))
    assert await ids(database) == []
