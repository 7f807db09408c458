"""A deleted campaign is hidden at once, erased slice by slice, and never comes back."""

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import (
    ACCOUNT,
    MESSAGE,
    NOW,
    OTHER_ACCOUNT,
    add_accounts,
    add_message,
    an_entry,
    an_event,
    contents,
    rows_of,
    store_events,
)
from tracker.domain.audit import AuditEntry
from tracker.domain.events import ErasedEvent, Event
from tracker.domain.ids import written
from tracker.storage.campaigns import Campaigns
from tracker.storage.database import Stale
from tracker.storage.erasures import Deletion, Erasures
from tracker.storage.events import EventFilter, Events
from tracker.storage.messages import Context, Messages
from tracker.storage.projections import CampaignCount, ProjectedEvent, Projection, Projections, RefusedRow

pytestmark = pytest.mark.anyio

EVERY = [EventFilter(), EventFilter(campaign="spring"), EventFilter(types=["opened"]), EventFilter(message=MESSAGE)]


def the_entry(subject: str | None) -> AuditEntry:
    return an_entry(subject, action="campaign.deleted")


async def delete(databases: Databases, campaign: str = "spring", account: bytes = ACCOUNT) -> bool:
    return await Campaigns(databases.main).delete(account, campaign, the_entry)


async def a_campaign(databases: Databases, *, account: bytes = ACCOUNT, events: int = 5) -> list[ProjectedEvent]:
    """Events of a message of the campaign, with their counts."""
    message = await add_message(databases, account=account)
    made = [an_event(account_id=account, message_id=message, occurred_at=NOW + number) for number in range(events)]
    projections = Projections(databases.main)
    mark, sequences = await projections.mark(), await projections.sequences([account])
    await projections.store(a_slice(mark, made), sequences)
    return made


def a_slice(mark: int, made: list[ProjectedEvent], generation: int = 0) -> Projection:
    account, message = made[0].account_id, made[0].message_id
    assert message is not None
    return Projection(
        old=mark,
        new=mark + 1,
        events=made,
        message_counts=[((account, message, "opened", "human"), len(made))],
        campaign_counts=[CampaignCount(account, "spring", generation, "opened", "human", len(made), 1)],
    )


async def shown(databases: Databases, which: EventFilter, account: bytes = ACCOUNT) -> list[str]:
    page = await Events(databases.main).page(account, which, limit=1_000, beyond=None, descending=False)
    return [event.id for event in page.events]


async def feed(databases: Databases, limit: int = 1_000) -> list[Event | ErasedEvent]:
    found, after = list[Event | ErasedEvent](), 0
    while page := await Events(databases.main).feed(ACCOUNT, after=after, limit=limit):
        found += page
        after = page[-1].sequence
    return found


async def erase_all(databases: Databases, limit: int = 2) -> int:
    """All there is to erase; the number of slices."""
    erasures, slices = Erasures(databases.main), 0
    while deletion := await erasures.next():
        while await erasures.erase(deletion, limit=limit):
            slices += 1
        assert await erasures.end(deletion)
    return slices


async def test_deleted_campaign_is_hidden_at_once(databases: Databases) -> None:
    """From every question, before a row of its events is gone; others of the account and of others stay."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    theirs = await a_campaign(databases, account=OTHER_ACCOUNT)
    ours = await a_campaign(databases)
    await store_events(databases, [stays := an_event(campaign="autumn")])
    assert await delete(databases)
    assert len(await rows_of(databases, "events")) == 11
    assert [await shown(databases, which) for which in EVERY] == [[written(stays.id)], [], [written(stays.id)], []]
    assert await shown(databases, EventFilter(message=ours[0].message_id)) == []
    assert len(await shown(databases, EventFilter(campaign="spring"), OTHER_ACCOUNT)) == len(theirs)
    assert [row["account_id"] for row in await rows_of(databases, "campaign_counts")] == [OTHER_ACCOUNT]
    assert [row["account_id"] for row in await rows_of(databases, "campaigns")] == [OTHER_ACCOUNT]
    assert [(row["action"], row["subject"]) for row in await rows_of(databases, "audit") if row["key_id"]] == [
        ("campaign.deleted", "spring")
    ]


async def test_list_goes_on_past_what_is_hidden_in_bounded_steps(databases: Databases) -> None:
    """However many events wait to be erased, a page looks at so many, and says where the next one begins."""
    await add_accounts(databases, ACCOUNT)
    await a_campaign(databases, events=7)
    await delete(databases)
    kept = an_event(message_id=await add_message(databases, campaign="summer"), campaign="summer", occurred_at=NOW - 9)
    await store_events(databases, [kept])
    events = Events(databases.main, most_steps=3)
    found, beyond = list[list[str]](), None
    while True:
        page = await events.page(ACCOUNT, EventFilter(), limit=5, beyond=beyond, descending=True)
        found.append([event.id for event in page.events])
        beyond = page.beyond
        if beyond is None:
            break
    assert found == [[], [], [written(kept.id)]]


async def test_what_is_no_campaign_is_not_deleted(databases: Databases) -> None:
    """Nor one that is another's, or deleted already, while it is being erased and after: nothing changes."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    await a_campaign(databases)
    tables = ("campaigns", "campaign_counts", "campaign_deletions", "audit", "events")
    before = await contents(databases, *tables)
    assert not await delete(databases, account=OTHER_ACCOUNT)
    assert not await delete(databases, "autumn")
    assert not await delete(databases, "")
    assert await contents(databases, *tables) == before
    assert await delete(databases)
    assert not await delete(databases)
    await erase_all(databases)
    assert not await delete(databases)
    assert [row["generation"] for row in await rows_of(databases, "campaign_deletions")] == [1]


@pytest.mark.parametrize("table", ["campaigns", "campaign_counts", "campaign_deletions", "audit"])
async def test_deletion_is_whole_whichever_statement_fails(databases: Databases, table: str) -> None:
    """What cannot be recorded is not done."""
    await add_accounts(databases, ACCOUNT)
    await a_campaign(databases)
    tables = ("campaigns", "campaign_counts", "campaign_deletions", "audit")
    before = await contents(databases, *tables)
    await databases.main.change(f"alter table {table} rename to hidden")
    with pytest.raises(OSError, match=table):
        await delete(databases)
    await databases.main.change(f"alter table hidden rename to {table}")
    assert await contents(databases, *tables) == before


async def test_erasing_leaves_entries_in_the_feed_and_nothing_else(databases: Databases) -> None:
    """Each number says that its event was erased, and so does one more at the end; no number is missing."""
    await add_accounts(databases, ACCOUNT)
    gone = await a_campaign(databases)
    await store_events(databases, [stays := an_event(campaign="autumn")])
    assert [type(entry) for entry in await feed(databases)] == [Event] * 6
    await delete(databases)
    assert [type(entry) for entry in await feed(databases)] == [ErasedEvent] * 5 + [Event]
    assert await erase_all(databases, limit=2) == 3
    ids = [written(event.id) for event in gone]
    for limit in (1, 4, 1_000):
        entries = await feed(databases, limit)
        assert [entry.sequence for entry in entries] == list(range(1, 12))
        assert [entry.id for entry in entries] == [*ids, written(stays.id), *ids]
        assert [entry.type for entry in entries] == ["erased"] * 5 + ["opened"] + ["erased"] * 5
    assert [row["id"] for row in await rows_of(databases, "events")] == [stays.id]
    assert await rows_of(databases, "message_counts") == []
    assert len(await rows_of(databases, "messages")) == 1
    assert await Erasures(databases.main).next() is None


async def test_slice_that_was_late_stays_hidden_and_is_erased(databases: Databases) -> None:
    """Worked out before the delete and stored after it: it does not fail, raises no numbers and is never shown."""
    await add_accounts(databases, ACCOUNT)
    first = (await a_campaign(databases))[0]
    projections = Projections(databases.main)
    sequences = await projections.sequences([ACCOUNT])
    late = [an_event(message_id=first.message_id, occurred_at=NOW + 100 + number) for number in range(3)]
    await delete(databases)
    await projections.store(a_slice(1, late), sequences)
    assert [await shown(databases, which) for which in EVERY] == [[]] * 4
    assert await rows_of(databases, "campaign_counts") == []
    assert [entry.type for entry in await feed(databases)] == ["erased"] * 8
    await erase_all(databases)
    assert await rows_of(databases, "events") == await rows_of(databases, "message_counts") == []
    assert [entry.sequence for entry in await feed(databases)] == list(range(1, 17))


async def test_campaign_of_the_same_name_begins_fresh(databases: Databases) -> None:
    """What is made after the delete is shown and counted, while the old is being erased and after; time and again."""
    await add_accounts(databases, ACCOUNT)
    projections = Projections(databases.main)
    old = await a_campaign_of(databases, projections, 0)
    for generation in (1, 2, 3):
        await delete(databases)
        new = await a_campaign_of(databases, projections, generation)
        for _ in ("while it is erased", "afterwards"):
            assert await shown(databases, EventFilter()) == [written(new.id)]
            assert await shown(databases, EventFilter(campaign="spring")) == [written(new.id)]
            assert [row["total"] for row in await rows_of(databases, "campaign_counts")] == [1]
            assert [row["messages"] for row in await rows_of(databases, "campaigns")] == [1]
            await erase_all(databases)
        assert [row["id"] for row in await rows_of(databases, "events")] == [new.id]
        assert [row["message_id"] for row in await rows_of(databases, "message_counts")] == [new.message_id]
        contexts = await Messages(databases.main).contexts(ACCOUNT, [old.message_id or b"", new.message_id or b""])
        assert list(contexts.values()) == [
            Context("spring", None, generation - 1, deleted=True),
            Context("spring", None, generation),
        ]
        old = new


async def a_campaign_of(databases: Databases, projections: Projections, generation: int) -> ProjectedEvent:
    """A message of the campaign, with an event."""
    event = an_event(message_id=await add_message(databases), generation=generation)
    mark, sequences = await projections.mark(), await projections.sequences([ACCOUNT])
    await projections.store(a_slice(mark, [event], generation), sequences)
    return event


async def test_campaign_deleted_again_while_it_is_erased_is_erased_to_the_end(databases: Databases) -> None:
    """Whoever comes to the end of the first has not come to the end of the second."""
    await add_accounts(databases, ACCOUNT)
    projections, erasures = Projections(databases.main), Erasures(databases.main)
    await a_campaign_of(databases, projections, 0)
    await delete(databases)
    first = await erasures.next()
    assert first == Deletion(ACCOUNT, "spring", 1)
    assert await erasures.erase(first, limit=10) == 1
    await a_campaign_of(databases, projections, 1)
    await delete(databases)
    assert await erasures.erase(first, limit=10) == 0
    assert await erasures.end(first)
    assert await erasures.next() == Deletion(ACCOUNT, "spring", 2)
    await erase_all(databases)
    assert await rows_of(databases, "events") == []


async def test_row_that_was_set_aside_is_erased_and_does_not_come_again(databases: Databases) -> None:
    """It holds all of a hit, as an event does; what another campaign has there stays."""
    await add_accounts(databases, ACCOUNT)
    projections = Projections(databases.main)
    mails = [await add_message(databases, campaign=campaign) for campaign in ("spring", "autumn")]
    refused = [
        RefusedRow(
            account_id=ACCOUNT, journal_key=key, message_id=mails[key % 2], type="x", occurred_at=1, hit="{}", error="E"
        )
        for key in range(4)
    ]
    await projections.store(Projection(old=0, new=1, refused=refused[:2]), {})
    await delete(databases)
    await projections.store(Projection(old=1, new=2, refused=refused[2:]), {})
    assert [row["journal_key"] for row in await rows_of(databases, "refused")] == [0, 1, 3]
    await erase_all(databases)
    assert [row["journal_key"] for row in await rows_of(databases, "refused")] == [1, 3]


async def test_slice_is_whole_or_not_at_all(databases: Databases) -> None:
    """Where somebody else gave numbers meanwhile nothing of it is done, and the next try makes up for it."""
    await add_accounts(databases, ACCOUNT)
    await a_campaign(databases)
    await delete(databases)
    erasures = Erasures(databases.main)
    deletion = await erasures.next()
    assert deletion is not None
    changes = await erasures._changes(ACCOUNT, await rows_of(databases, "events"))
    await store_events(databases, [an_event(campaign="autumn")])
    tables = ("accounts", "events", "erased_events", "message_counts")
    before = await contents(databases, *tables)
    with pytest.raises(Stale):
        await databases.main.write(*changes)
    for table in ("accounts", "erased_events", "message_counts"):
        await databases.main.change(f"alter table {table} rename to hidden")
        with pytest.raises(OSError, match=table):
            await erasures.erase(deletion, limit=10)
        await databases.main.change(f"alter table hidden rename to {table}")
    assert await contents(databases, *tables) == before
    assert await erasures.erase(deletion, limit=10) == 5


async def test_campaigns_are_erased_in_turn(databases: Databases) -> None:
    """Of all accounts, round and round, until each has come to its end."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    for account in (ACCOUNT, OTHER_ACCOUNT):
        for campaign in ("b", "a"):
            await add_message(databases, account=account, campaign=campaign)
            await delete(databases, campaign, account)
    erasures, met, deletion = Erasures(databases.main), list[tuple[bytes, str]](), None
    for _ in range(6):
        deletion = await erasures.next(deletion)
        assert deletion is not None
        met.append((deletion.account, deletion.campaign))
    assert met[:4] == [(ACCOUNT, "a"), (ACCOUNT, "b"), (OTHER_ACCOUNT, "a"), (OTHER_ACCOUNT, "b")]
    assert met[4:] == met[:2]
    assert await erasures.end(deletion or Deletion(b"", "", 0))
    assert await erasures.next(Deletion(ACCOUNT, "a", 1)) == Deletion(OTHER_ACCOUNT, "a", 1)
