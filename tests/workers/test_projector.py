"""The journal becomes events: each once, numbered without holes, whatever fails in between."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.databases import Databases
from tests.storage.samples import (
    ACCOUNT,
    APPLE,
    CURL,
    FIREFOX,
    NOW,
    OTHER_ACCOUNT,
    a_hit,
    add_accounts,
    add_message,
    an_opt_out,
    contents,
    left_to_project,
    open_journal,
    rows_of,
)
from tests.workers.states import until
from tracker.domain.events import Entry, EventType, Hit
from tracker.storage.database import Stale, Unavailable
from tracker.storage.journal import Journal
from tracker.storage.messages import Messages
from tracker.storage.projections import Projection, Projections
from tracker.workers.projector import Projector

pytestmark = pytest.mark.anyio

TABLES = ("accounts", "events", "message_counts", "campaign_counts", "projection", "refused")


def a_projector(databases: Databases, projections: Projections | None = None, **options: Any) -> Projector:
    """A projector as the worker has it: on the main database, which reads the inbox."""
    main = databases.main
    return Projector(Journal(main), Messages(main), projections or Projections(main), **{"gather_s": 0.002, **options})


async def journalled(databases: Databases, entries: Sequence[Entry]) -> Journal:
    journal = await open_journal(databases)
    await journal.append(entries)
    return journal


async def times_of_events(databases: Databases) -> list[int]:
    """When the events occurred, in the order of their numbers."""
    rows = await databases.main.fetch("select occurred_at from events order by account_id, sequence")
    return [row["occurred_at"] for row in rows]


async def test_every_hit_becomes_an_event(databases: Databases) -> None:
    """In the order of the journal, slice after slice, and then there is nothing left to do."""
    await add_accounts(databases, ACCOUNT)
    journal = await journalled(databases, [a_hit(occurred_at=NOW + number) for number in (3, 1, 2, 9, 4)])
    projector = a_projector(databases, slice_rows=2)
    assert [await projector.turn() for _ in range(4)] == [2, 2, 1, 0]
    assert await times_of_events(databases) == [NOW + number for number in (3, 1, 2, 9, 4)]
    assert [row["sequence"] for row in await rows_of(databases, "accounts")] == [5]
    assert await left_to_project(databases) == []
    assert await journal.reached() == (0 if databases.main.whole else 5)


async def test_event_knows_its_message(databases: Databases) -> None:
    """Campaign and topic as the message was made with; an opt-out with how it was said."""
    await add_accounts(databases, ACCOUNT)
    message = await add_message(databases, campaign="spring", topic="offers")
    click = a_hit(type="clicked", message=message, link=2, url="https://shop.example/", referrer="https://m.example/")
    await journalled(databases, [click, an_opt_out(message=message)])
    await a_projector(databases).turn()
    clicked, unsubscribed = await rows_of(databases, "events")
    if clicked["type"] != "clicked":
        clicked, unsubscribed = unsubscribed, clicked
    assert (clicked["campaign"], clicked["topic"], clicked["message_id"]) == ("spring", "offers", message)
    assert (clicked["link"], clicked["url"], clicked["referrer"]) == (2, "https://shop.example/", "https://m.example/")
    assert (unsubscribed["type"], unsubscribed["method"], unsubscribed["verdict"]) == (
        "unsubscribed",
        "one_click",
        "human",
    )
    assert {row["revision"] for row in (clicked, unsubscribed)} == {1}


async def test_message_of_another_account_is_not_named(databases: Databases) -> None:
    """Whoever holds a click key of their own may put any message into a token."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    theirs = await add_message(databases, account=OTHER_ACCOUNT, campaign="secret plan", topic="secrets")
    await journalled(databases, [a_hit(message=theirs)])
    await a_projector(databases).turn()
    [event] = await rows_of(databases, "events")
    assert (event["account_id"], event["message_id"], event["campaign"], event["topic"]) == (ACCOUNT, None, "", None)
    assert await rows_of(databases, "message_counts") == []
    assert await rows_of(databases, "campaign_counts") == []


async def test_message_that_is_gone_is_not_named(databases: Databases) -> None:
    """Its links live on, and what they do is an event of no campaign, and in no numbers."""
    await add_accounts(databases, ACCOUNT)
    message = await add_message(databases)
    await databases.main.change("delete from messages")
    await journalled(databases, [a_hit(message=message), a_hit(message=message)])
    await a_projector(databases).turn()
    assert [row["message_id"] for row in await rows_of(databases, "events")] == [None, None]
    assert [row["campaign"] for row in await rows_of(databases, "events")] == ["", ""]
    assert await rows_of(databases, "campaign_counts") == []


async def test_rows_of_unknown_accounts_are_dropped_and_counted(databases: Databases) -> None:
    """The others of their slice go on, and no number is spent on them."""
    await add_accounts(databases, ACCOUNT)
    known, unknown = a_hit(), a_hit(account=b"nobody's")
    await journalled(databases, [unknown, known, unknown, known, unknown])
    await a_projector(databases).turn()
    assert [row["account_id"] for row in await rows_of(databases, "events")] == [ACCOUNT, ACCOUNT]
    assert await left_to_project(databases) == []
    assert [row["dropped"] for row in await rows_of(databases, "projection")] == [3]
    assert await rows_of(databases, "refused") == []


async def test_slice_of_unknown_accounts_alone_moves_the_mark(databases: Databases) -> None:
    """Otherwise it would be read for ever."""
    await journalled(databases, [a_hit(), a_hit()])
    projector = a_projector(databases)
    assert [await projector.turn() for _ in range(2)] == [2, 0]
    assert [row["dropped"] for row in await rows_of(databases, "projection")] == [2]


UNHEARD = a_hit(type="unheard")
AFTER_ALL_TIME = a_hit(occurred_at=2**48)


@pytest.mark.parametrize("bad", [{0}, {19}, {7}, {3, 4, 12}, set(range(20))])
@pytest.mark.parametrize(("row", "error"), [(UNHEARD, "ValueError"), (AFTER_ALL_TIME, "OverflowError")])
async def test_bad_row_is_set_aside_and_the_rest_goes_on(
    databases: Databases, bad: set[int], row: Hit, error: str
) -> None:
    """Found by halving its slice; kept whole, with the reason, for a release that can read it."""
    await add_accounts(databases, ACCOUNT)
    entries = [row if number in bad else a_hit(occurred_at=NOW + number) for number in range(20)]
    await journalled(databases, entries)
    projector = a_projector(databases)
    assert [await projector.turn() for _ in range(2)] == [20, 0]
    assert await times_of_events(databases) == [NOW + number for number in range(20) if number not in bad]
    refused = await rows_of(databases, "refused")
    assert {one["journal_key"] - 1 for one in refused} == bad
    assert {(one["type"], one["occurred_at"], one["error"]) for one in refused} == {(row.type, row.occurred_at, error)}
    kept = [json.loads(one["hit"]) for one in refused]
    assert [(one["id"], one["user_agent"]) for one in kept] == [(number + 1, FIREFOX) for number in sorted(bad)]
    assert await left_to_project(databases) == []


@pytest.mark.parametrize("table", [table for table in TABLES if table != "refused"])
async def test_slice_is_whole_whichever_statement_fails(databases: Databases, table: str) -> None:
    """A turn that fails changes nothing and sets nothing aside; the next one makes up for it."""
    await add_accounts(databases, ACCOUNT)
    message = await add_message(databases)
    await journalled(databases, [a_hit(message=message), a_hit(account=b"nobody's")])
    projector, before = a_projector(databases), await contents(databases, *TABLES)
    await databases.main.change(f"alter table {table} rename to hidden")
    with pytest.raises(OSError, match=table):
        await projector.turn()
    await databases.main.change(f"alter table hidden rename to {table}")
    assert await contents(databases, *TABLES) == before
    assert await projector.turn() == 2
    after = await contents(databases, *TABLES)
    assert [name for name in TABLES if after[name] == before[name]] == ["refused"]


class Exhausted(Projections):
    """Has a bad day for which no row is to blame."""

    async def store(self, *_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")


async def test_trouble_of_the_system_sets_nothing_aside(databases: Databases) -> None:
    """Nobody's events are given up because the machine was short of something."""
    await add_accounts(databases, ACCOUNT)
    await journalled(databases, [a_hit(), a_hit()])
    with pytest.raises(RuntimeError):
        await a_projector(databases, Exhausted(databases.main)).turn()
    assert await rows_of(databases, "refused") == []
    await a_projector(databases).turn()
    assert len(await times_of_events(databases)) == 2


class LosesAnswers(Projections):
    """Commits, and is cut off before it can say so."""

    async def store(self, projection: Projection, sequences: dict[bytes, int]) -> None:
        await super().store(projection, sequences)
        raise Unavailable("the connection was lost")


async def test_crash_after_the_commit_makes_no_event_twice(databases: Databases) -> None:
    """The mark came with the events: whoever goes on goes on behind them."""
    await add_accounts(databases, ACCOUNT)
    await journalled(databases, [a_hit(occurred_at=NOW + number) for number in range(10)])
    cut_off = a_projector(databases, LosesAnswers(databases.main), slice_rows=4)
    with pytest.raises(Unavailable):
        await cut_off.turn()
    for _ in range(4):
        await a_projector(databases, slice_rows=4).turn()
    assert await times_of_events(databases) == [NOW + number for number in range(10)]


class Late(Projections):
    """Stores when it is told to."""

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases.main)
        self.ready, self.go_on = asyncio.Event(), asyncio.Event()

    async def store(self, projection: Projection, sequences: dict[bytes, int]) -> None:
        self.ready.set()
        await self.go_on.wait()
        await super().store(projection, sequences)


async def test_second_projector_of_a_slice_is_stale(databases: Databases) -> None:
    """Two that read the same slice store it once, whoever is faster."""
    await add_accounts(databases, ACCOUNT)
    await journalled(databases, [a_hit(), a_hit()])
    late = Late(databases)
    turn = asyncio.create_task(a_projector(databases, late).turn())
    await late.ready.wait()
    await a_projector(databases).turn()
    before = await contents(databases, *TABLES)
    late.go_on.set()
    with pytest.raises(Stale):
        await turn
    assert await contents(databases, *TABLES) == before
    assert len(before["events"]) == 2


async def test_projectors_at_once_double_nothing(databases: Databases) -> None:
    """For as long as they like; they get over each other's turns."""
    await add_accounts(databases, ACCOUNT)
    journal = await open_journal(databases)
    async with a_projector(databases, slice_rows=7), a_projector(databases, slice_rows=5):
        for number in range(40):
            await journal.append([a_hit(occurred_at=NOW + 5 * number + one) for one in range(5)])
        await until(lambda: caught_up(databases))
    assert await times_of_events(databases) == [NOW + number for number in range(200)]
    assert await rows_of(databases, "refused") == []


async def caught_up(databases: Databases) -> bool:
    return not await left_to_project(databases)


async def test_projector_outlives_an_outage(databases: Databases) -> None:
    """It pauses, tries again, and goes on as if nothing had been."""
    await add_accounts(databases, ACCOUNT)
    journal = await open_journal(databases)
    async with a_projector(databases, longest_pause_s=0.01) as projector:
        await journal.append([a_hit()])
        await until(lambda: caught_up(databases))
        await databases.main.change("alter table projection rename to hidden")
        await journal.append([a_hit(), a_hit()])
        with pytest.raises(Unavailable):
            await projector.turn()
        await databases.main.change("alter table hidden rename to projection")
        await until(lambda: caught_up(databases))
    assert len(await times_of_events(databases)) == 3


async def test_full_slice_is_followed_by_the_next_at_once(databases: Databases) -> None:
    """It gathers only when there is nothing left to do."""
    await add_accounts(databases, ACCOUNT)
    await journalled(databases, [a_hit() for _ in range(7)])
    async with a_projector(databases, slice_rows=2, gather_s=1_000):
        await until(lambda: caught_up(databases))


class Failing(Projections):
    """Cannot be asked, and notes when it was."""

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases.main)
        self.asked: list[float] = []

    async def mark(self) -> int:
        self.asked.append(time.monotonic())
        raise Unavailable("SQLITE_BUSY: database is locked")


async def test_failing_projector_tries_ever_more_slowly(databases: Databases) -> None:
    """Up to a limit, and never so that it would keep a processor busy."""
    failing = Failing(databases)
    async with a_projector(databases, failing, gather_s=0.01, longest_pause_s=0.04):
        await until(lambda: len(failing.asked) >= 6)
    gaps = [after - before for before, after in pairwise(failing.asked)]
    assert all(gap >= least for gap, least in zip(gaps, (0.02, 0.04, 0.04, 0.04, 0.04), strict=False))


async def test_closing_finishes_the_slice_and_leaves_the_rest(databases: Databases) -> None:
    """What is not projected stays in the journal for the next one."""
    await add_accounts(databases, ACCOUNT)
    await journalled(databases, [a_hit(occurred_at=NOW + number) for number in range(6)])
    late = Late(databases)
    projector = a_projector(databases, late, slice_rows=4)
    async with projector:
        await late.ready.wait()
        asyncio.get_running_loop().call_soon(late.go_on.set)
    assert len(await times_of_events(databases)) == 4
    assert await left_to_project(databases) == [5, 6]


MESSAGES = st.integers(0, 5)
HISTORIES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([ACCOUNT, OTHER_ACCOUNT, b"nobody's"]),
            MESSAGES,
            st.sampled_from(list(EventType)),
            st.sampled_from([FIREFOX, APPLE, CURL, ""]),
        ),
        max_size=25,
    ),
    min_size=1,
    max_size=4,
)


async def messages_of(databases: Databases) -> list[bytes]:
    """Four messages of two accounts and campaigns, and two ids that are none."""
    stored = await databases.main.fetch("select id from messages order by id")
    if not stored:
        await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
        for account in (ACCOUNT, OTHER_ACCOUNT):
            for campaign in ("spring", "autumn"):
                await add_message(databases, account=account, campaign=campaign)
        stored = await databases.main.fetch("select id from messages order by id")
    return [*(row["id"] for row in stored), bytes(16), bytes([255]) * 16]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORIES, slice_rows=st.integers(1, 30))
async def test_counts_agree_with_the_events(
    databases: Databases, history: list[list[tuple[bytes, int, EventType, str]]], slice_rows: int
) -> None:
    """F24: totals are the events, uniques the messages they are of, and numbers have no holes, after any history."""
    messages, journal = await messages_of(databases), await open_journal(databases)
    projector, before = a_projector(databases, slice_rows=slice_rows), await passed(databases)
    for batch in history:
        await journal.append(
            [
                a_hit(account=account, message=messages[number], type=kind.value, user_agent=agent)
                for account, number, kind, agent in batch
            ]
        )
        while await projector.turn():
            pass
    assert await passed(databases) - before == sum(map(len, history))
    await expect_agreement(databases)


async def passed(databases: Databases) -> int:
    """How many rows of the journal became events or were dropped."""
    [projection], events = await rows_of(databases, "projection"), await rows_of(databases, "events")
    return len(events) + int(projection["dropped"])


async def expect_agreement(databases: Databases) -> None:
    events = await rows_of(databases, "events")
    of_campaigns = {
        (row["account_id"], row["campaign"], row["type"], row["verdict"]): (row["total"], row["uniques"])
        for row in await rows_of(databases, "campaign_counts")
    }
    counted = [row for row in events if row["campaign"]]
    totals = Counter(map(kind_of, counted))
    kinds = {(*kind_of(row), row["message_id"]) for row in counted}
    uniques = Counter(kind[:-1] for kind in kinds)
    assert of_campaigns == {key: (total, uniques[key]) for key, total in totals.items()}
    of_messages = {
        (row["account_id"], row["message_id"], row["type"], row["verdict"]): row["total"]
        for row in await rows_of(databases, "message_counts")
    }
    assert of_messages == Counter(
        (row["account_id"], row["message_id"], row["type"], row["verdict"]) for row in counted
    )
    for account in await rows_of(databases, "accounts"):
        numbers = sorted(row["sequence"] for row in events if row["account_id"] == account["id"])
        assert numbers == list(range(1, account["sequence"] + 1))


def kind_of(row: Any) -> tuple[bytes, str, str, str]:
    return row["account_id"], row["campaign"], row["type"], row["verdict"]
