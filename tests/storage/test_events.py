"""Events as customers ask for them: each once, in the order of time, of their own account."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from tests.storage.databases import Databases, sqlite
from tests.storage.samples import (
    ACCOUNT,
    NOW,
    OTHER_ACCOUNT,
    add_accounts,
    add_message,
    an_event,
    store_events,
)
from tracker.domain.events import Client, ErasedEvent, Event, RecipientShown, VerdictShown
from tracker.domain.ids import event_id, written
from tracker.storage.database import Change, Database, Row
from tracker.storage.events import EventFilter, Events
from tracker.storage.messages import Messages
from tracker.storage.projections import ProjectedEvent
from tracker.storage.statements import list_names, spread

pytestmark = pytest.mark.anyio


async def everything(
    databases: Databases, which: EventFilter, *, descending: bool = False, limit: int = 7, **most: int
) -> list[Event]:
    """Page after page, until there is no other."""
    events, found, beyond = Events(databases.main, **most), list[Event](), None
    while True:
        page = await events.page(ACCOUNT, which, limit=limit, beyond=beyond, descending=descending)
        assert len(page.events) <= limit
        assert "most_steps" in most or page.beyond is None or len(page.events) == limit
        found += page.events
        beyond = page.beyond
        if beyond is None:
            return found


async def test_event_is_shown_as_it_was_stored(databases: Databases) -> None:
    """With what its message knows."""
    await add_accounts(databases, ACCOUNT)
    message = await add_message(databases, external_id="crm-1", topic="offers", metadata={"segment": "b"})
    known = await Messages(databases.main).find(ACCOUNT, message)
    assert known is not None
    event = an_event(
        type="clicked",
        topic="offers",
        message_id=message,
        url="https://shop.example/#top",
        link=3,
        user_agent="Mozilla/5.0",
        client_name="Apple Mail",
        client_os="iOS",
        client_device="phone",
        ip="203.0.113.0",
        referrer="https://mail.example/",
        proxied=1,
        verdict="machine",
        verdict_class="prefetch",
        signals="prefetch scanner_ua",
        occurred_at=NOW + 7,
    )
    await store_events(databases, [event])
    assert await everything(databases, EventFilter()) == [
        Event(
            id=written(event.id),
            sequence=1,
            revision=1,
            type="clicked",
            occurred_at="2026-11-22T10:00:00.007Z",
            campaign="spring",
            topic="offers",
            message_id=written(message),
            recipient=RecipientShown(id=written(known.recipient), external_id="crm-1", email="Ada@Example.com"),
            url="https://shop.example/#top",
            link=3,
            method=None,
            client=Client(
                user_agent="Mozilla/5.0",
                name="Apple Mail",
                os="iOS",
                device="phone",
                ip="203.0.113.0",
                proxied=True,
                referrer="https://mail.example/",
            ),
            verdict=VerdictShown(value="machine", machine_class="prefetch", signals=["prefetch", "scanner_ua"]),
            metadata={"segment": "b"},
        )
    ]


async def test_event_without_its_message_is_shown_with_nulls(databases: Databases) -> None:
    """Whether there never was one, or it is gone since."""
    await add_accounts(databases, ACCOUNT)
    message = await add_message(databases, external_id="crm-1", metadata={"segment": "b"})
    await store_events(databases, [an_event(campaign=""), an_event(message_id=message, occurred_at=NOW + 1)])
    await databases.main.change("delete from messages where id = :id", id=message)
    never, gone = await everything(databases, EventFilter())
    nobody = RecipientShown(id=None, external_id=None, email=None)
    assert (never.message_id, never.campaign, never.recipient, never.metadata) == (None, None, nobody, {})
    assert (gone.message_id, gone.campaign, gone.recipient) == (written(message), "spring", nobody)


async def many(databases: Databases) -> dict[str, ProjectedEvent]:
    """Sixty events of two accounts that differ in everything one can ask for, by their id."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    chance, events = random.Random(5), list[ProjectedEvent]()
    messages: dict[bytes, list[bytes]] = {}
    for account in (ACCOUNT, OTHER_ACCOUNT):
        messages[account] = [
            await add_message(databases, account=account, address=f"{name}@example.com", external_id=external_id)
            for name, external_id in (("ada", "crm-1"), ("Ada", "crm-1"), ("bob", None), ("ada", "crm-2"))
        ]
    for number in range(60):
        account = OTHER_ACCOUNT if number % 4 == 3 else ACCOUNT
        events.append(
            an_event(
                account_id=account,
                # Some share their millisecond.
                occurred_at=NOW + number // 3,
                type=chance.choice(["opened", "clicked", "unsubscribed"]),
                campaign=chance.choice(["spring", "autumn"]),
                topic=chance.choice([None, "offers", "news"]),
                verdict=chance.choice(["human", "machine", "unknown"]),
                message_id=chance.choice([*messages[account], None]),
            )
        )
    chance.shuffle(events)
    await store_events(databases, events)
    return {written(event.id): event for event in events if event.account_id == ACCOUNT}


async def filters(databases: Databases) -> dict[str, tuple[Any, Callable[[ProjectedEvent], bool]]]:
    """A value for every filter, and what it means."""
    rows = await databases.main.fetch(
        "select m.id, m.external_id, r.id as recipient, r.address from messages m join recipients r"
        " on r.id = m.recipient_id where m.account_id = :account order by m.id",
        account=ACCOUNT,
    )
    of_ada = {row["id"] for row in rows if row["address"] == "ada@example.com"}
    of_crm_1 = {row["id"] for row in rows if row["external_id"] == "crm-1"}
    ada = next(row["recipient"] for row in rows if row["address"] == "ada@example.com")
    return {
        "types": (["opened", "clicked"], lambda event: event.type in ("opened", "clicked")),
        "campaign": ("spring", lambda event: event.campaign == "spring"),
        "topic": ("offers", lambda event: event.topic == "offers"),
        "message": (rows[0]["id"], lambda event: event.message_id == rows[0]["id"]),
        "verdict": ("human", lambda event: event.verdict == "human"),
        "recipient": (ada, lambda event: event.message_id in of_ada),
        "email": ("ada@example.com", lambda event: event.message_id in of_ada),
        "external_id": ("crm-1", lambda event: event.message_id in of_crm_1),
        "since": (NOW + 5, lambda event: event.occurred_at >= NOW + 5),
        "until": (NOW + 15, lambda event: event.occurred_at < NOW + 15),
    }


MOST: dict[str, dict[str, int]] = {
    "a small account": {},
    "few steps": {"most_steps": 5},
    "nothing gathered": {"most_steps": 11, "most_gathered": 0},
}


@pytest.mark.parametrize("most", MOST.values(), ids=MOST)
async def test_filters_work_and_combine(databases: Databases, most: dict[str, int]) -> None:
    """Alone, in pairs and in threes, up and down: what is meant by all of them, and nothing else, however few rows may
    be looked at for a page."""
    events = await many(databases)
    meanings = await filters(databases)
    assert set(meanings) == set(EventFilter.__struct_fields__)
    seen = 0
    for size in (0, 1, 2, 3):
        for names in combinations(meanings, size):
            which = EventFilter(**{name: meanings[name][0] for name in names})
            wanted = [one for one, event in events.items() if all(meanings[name][1](event) for name in names)]
            descending, limit = size % 2 == 0, 4 if most else 50
            found = await everything(databases, which, descending=descending, limit=limit, **most)
            assert [event.id for event in found] == sorted(wanted, reverse=descending), names
            seen += 0 < len(wanted) < len(events)
    assert seen > 100


async def test_another_account_has_nothing_to_filter_by(databases: Databases) -> None:
    """Its recipients, messages and addresses are unknown here."""
    await many(databases)
    rows = await databases.main.fetch("select id, recipient_id from messages where account_id = :a", a=OTHER_ACCOUNT)
    for row in rows:
        assert await everything(databases, EventFilter(message=row["id"])) == []
        assert await everything(databases, EventFilter(recipient=row["recipient_id"])) == []
    assert await Events(databases.main).feed(bytes(8), after=0, limit=100) == []


@pytest.mark.parametrize("limit", [1, 2, 7, 45, 100])
@pytest.mark.parametrize("descending", [True, False])
async def test_pages_follow_each_other(databases: Databases, limit: int, descending: bool) -> None:
    """Each event once, in the order of time and id, also among those of one millisecond."""
    events = await many(databases)
    found = [event.id for event in await everything(databases, EventFilter(), descending=descending, limit=limit)]
    assert found == sorted(events, key=lambda one: (events[one].occurred_at, one), reverse=descending)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("which", [EventFilter(), EventFilter(campaign="spring", verdict="human")], ids=["all", "some"])
async def test_paging_yields_each_event_once_while_others_come(
    databases: Databases, which: EventFilter, descending: bool
) -> None:
    """A8.3: all that were there at the start, none twice, whenever those happened that come meanwhile."""
    await add_accounts(databases, ACCOUNT)
    chance = random.Random(6)

    def some(number: int) -> Sequence[ProjectedEvent]:
        return [an_event(occurred_at=NOW + chance.randrange(1_000)) for _ in range(number)]

    at_the_start = some(200)
    await store_events(databases, at_the_start)
    paging = asyncio.create_task(everything(databases, which, descending=descending, limit=9, most_steps=10))
    added = 0
    while not paging.done() and added < 200:
        await store_events(databases, some(5))
        added += 5
    found = [event.id for event in await paging]
    assert added > 0
    assert len(set(found)) == len(found)
    assert {written(event.id) for event in at_the_start} <= set(found)
    assert found == sorted(found, reverse=descending)


async def test_feed_follows_the_sequence(databases: Databases) -> None:
    """In the order in which the events came to be known, from just after a number."""
    events = await many(databases)
    feed, after = list[Event | ErasedEvent](), 0
    while page := await Events(databases.main).feed(ACCOUNT, after=after, limit=7):
        feed += page
        after = page[-1].sequence
    assert [event.sequence for event in feed] == list(range(1, len(events) + 1))
    assert {event.id for event in feed} == set(events)
    assert await Events(databases.main).feed(ACCOUNT, after=after, limit=7) == []
    assert await Events(databases.main).feed(ACCOUNT, after=2**63 - 1, limit=7) == []


async def test_bounds_of_time_may_lie_outside_all_time(databases: Databases) -> None:
    """A customer may ask since the year 1."""
    await add_accounts(databases, ACCOUNT)
    await store_events(databases, [an_event(occurred_at=0), an_event()])
    assert len(await everything(databases, EventFilter(since=-62_135_596_800_000, until=253_402_300_800_000))) == 2
    assert len(await everything(databases, EventFilter(since=1))) == 1
    assert await everything(databases, EventFilter(until=-1)) == []
    assert await everything(databases, EventFilter(since=NOW, until=NOW)) == []


async def test_names_are_compared_as_they_are(databases: Databases) -> None:
    """No pattern, no case, no trimming; what looks like SQL is a name like others."""
    await add_accounts(databases, ACCOUNT)
    names = ["50%", "50_", "spring", "Spring", "spring ", "' or 1=1 --", "%"]
    await store_events(databases, [an_event(campaign=name) for name in names])
    for name in names:
        assert [event.campaign for event in await everything(databases, EventFilter(campaign=name))] == [name]
    await databases.main.write(Change("delete from events where campaign = :campaign", [{"campaign": "%"}]))
    assert len(await everything(databases, EventFilter(), limit=100)) == len(names) - 1


async def test_lists_leave_readers_to_others(databases: Databases) -> None:
    """However slow they are and however many: a check waits for none of them."""
    answering, asked = asyncio.Event(), list[str]()

    class Slow:
        async def fetch(self, sql: str, /, **params: object) -> list[Any]:
            asked.append(sql)
            await answering.wait()
            return list(await databases.main.fetch(sql, **params))

    events = Events(Slow())  # type: ignore[arg-type]
    pages = [
        asyncio.create_task(events.page(ACCOUNT, EventFilter(verdict="human"), limit=1, beyond=None, descending=True))
        for _ in range(20)
    ]
    await asyncio.wait(pages, timeout=0.05)
    assert len(asked) == 2
    answering.set()
    assert await asyncio.gather(*pages) == [([], None)] * 20


def instructions(path: Path, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
    """How many hundreds of instructions SQLite needs for these questions."""
    spent = 0

    def tick() -> int:
        nonlocal spent
        spent += 1
        return 0

    connection = sqlite3.connect(path)
    connection.set_progress_handler(tick, 100)
    for sql, params in asked:
        statement, values = spread(sql, params) if list_names(sql) else (sql, params)
        connection.execute(statement, values).fetchall()
    connection.close()
    return spent


class Listening:
    """A database that keeps what it is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    async def fetch(self, sql: str, /, **params: object) -> list[Row]:
        self.asked.append((sql, params))
        return await self._database.fetch(sql, **params)


HARD: Mapping[str, Any] = {
    "types": ["opened", "clicked"],
    "campaign": "spring",
    "topic": "offers",
    "verdict": "machine",
    "email": "ada@example.com",
    "external_id": "crm-1",
    "since": NOW,
    "until": NOW + 1_000_000,
}
"""Filters that hold for every event but for one of them: to nobody's event."""


async def test_no_question_reads_an_account_from_end_to_end(tmp_path: Path) -> None:
    """However many events there are: a page costs no more among eight thousand than among two thousand, whether it is
    the first or one in the middle."""
    chosen = [names for size in (1, 2, len(HARD)) for names in combinations(HARD, size)]
    costs: dict[tuple[tuple[str, ...], bool, bool], list[int]] = {}
    for stored in (2_000, 8_000):
        (tmp_path / str(stored)).mkdir()
        async with sqlite(tmp_path / str(stored)) as databases:
            await add_accounts(databases, ACCOUNT)
            message = await add_message(databases, topic="offers", external_id="crm-1")
            given = {"message_id": message, "topic": "offers"}
            await store_events(databases, [an_event(occurred_at=NOW + n, **given) for n in range(stored)])
            middle = event_id(NOW + stored // 2, bytes(10))
            for names, descending, first in product(chosen, (True, False), (True, False)):
                database = Listening(databases.main)
                events = Events(database, most_steps=300, most_gathered=300)  # type: ignore[arg-type]
                which = EventFilter(**{name: HARD[name] for name in names})
                await events.page(ACCOUNT, which, limit=10, beyond=None if first else middle, descending=descending)
                (file,) = await databases.main.fetch("select file from pragma_database_list where name = 'main'")
                costs.setdefault((names, descending, first), []).append(
                    instructions(Path(file["file"]), database.asked)
                )
    assert {asked: cost for asked, cost in costs.items() if cost[1] > cost[0] * 1.2 + 5} == {}


async def test_page_among_many_that_do_not_match_says_where_to_go_on(databases: Databases) -> None:
    """It may be empty and not the last; what there is comes with the next."""
    await add_accounts(databases, ACCOUNT)
    await store_events(databases, [an_event(occurred_at=NOW + n, verdict="unknown") for n in range(25)])
    await store_events(databases, [an_event(occurred_at=NOW - 1)])
    events, pages, beyond = Events(databases.main, most_steps=10), list[int](), None
    for _ in range(3):
        page = await events.page(ACCOUNT, EventFilter(verdict="human"), limit=5, beyond=beyond, descending=True)
        pages.append(len(page.events))
        beyond = page.beyond
    assert (pages, beyond) == ([0, 0, 1], None)
