"""Events as customers ask for them: each once, in the order of time, of their own account."""

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest

from tests.storage.databases import Databases
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
from tracker.domain.ids import parse_id, written
from tracker.storage.database import Change
from tracker.storage.events import EventFilter, Events
from tracker.storage.messages import Messages
from tracker.storage.projections import ProjectedEvent

pytestmark = pytest.mark.anyio


async def everything(
    databases: Databases, which: EventFilter, *, descending: bool = False, limit: int = 7
) -> list[Event]:
    """Page after page, until one is not full."""
    events, found, beyond = Events(databases.main), list[Event](), None
    while True:
        page = await events.page(ACCOUNT, which, limit=limit, beyond=beyond, descending=descending)
        assert len(page) <= limit
        found += page
        if len(page) < limit:
            return found
        beyond = parse_id(page[-1].id)


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


async def test_filters_work_and_combine(databases: Databases) -> None:
    """Alone, in pairs and in threes, up and down: what is meant by all of them, and nothing else."""
    events = await many(databases)
    meanings = await filters(databases)
    assert set(meanings) == set(EventFilter.__struct_fields__)
    seen = 0
    for size in (0, 1, 2, 3):
        for names in combinations(meanings, size):
            which = EventFilter(**{name: meanings[name][0] for name in names})
            wanted = [one for one, event in events.items() if all(meanings[name][1](event) for name in names)]
            found = [event.id for event in await everything(databases, which, descending=size % 2 == 0, limit=50)]
            assert found == sorted(wanted, reverse=size % 2 == 0), names
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
async def test_paging_yields_each_event_once_while_others_come(databases: Databases, descending: bool) -> None:
    """A8.3: all that were there at the start, none twice, whenever those happened that come meanwhile."""
    await add_accounts(databases, ACCOUNT)
    chance = random.Random(6)

    def some(number: int) -> Sequence[ProjectedEvent]:
        return [an_event(occurred_at=NOW + chance.randrange(1_000)) for _ in range(number)]

    at_the_start = some(200)
    await store_events(databases, at_the_start)
    paging = asyncio.create_task(everything(databases, EventFilter(), descending=descending, limit=9))
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
    assert await asyncio.gather(*pages) == [[]] * 20
