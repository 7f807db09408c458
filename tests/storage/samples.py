"""Hits, opt-outs and messages in which a test says only what it cares about."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.storage.databases import Databases
from tracker.domain.audit import AuditEntry, new_entry
from tracker.domain.events import EventType, Hit, Method, OptOut
from tracker.domain.ids import event_id, new_id
from tracker.storage.accounts import Account, Accounts
from tracker.storage.database import Change, Row
from tracker.storage.journal import Journal
from tracker.storage.messages import Messages, NewMessage
from tracker.storage.projections import ProjectedEvent, Projection, Projections
from tracker.storage.shared_journal import journal_of

ACCOUNT = b"account1"
OTHER_ACCOUNT = b"account2"
MESSAGE = bytes(range(16))
KEY = b"the key!"
ADDRESS_KEY = bytes(range(16, 32))
NOW = 1_795_341_600_000

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
APPLE = "Mozilla/5.0"
CURL = "curl/8.5.0"


def a_hit(**given: Any) -> Hit:
    """A hit of a person who opens the mail."""
    values: dict[str, Any] = {
        "type": EventType.OPENED,
        "account": ACCOUNT,
        "message": MESSAGE,
        "occurred_at": NOW,
        "user_agent": FIREFOX,
    }
    return Hit(**{**values, **given})


def an_opt_out(*, address_key: bytes = ADDRESS_KEY, **given: Any) -> OptOut:
    """A one-click opt-out."""
    hit = a_hit(type=EventType.UNSUBSCRIBED, method=Method.ONE_CLICK, **given)
    return OptOut(hit=hit, address_key=address_key, suppression=new_id())


def an_entry(subject: str | None = None, **given: Any) -> AuditEntry:
    """That a key added a suppression."""
    values: dict[str, Any] = {"action": "suppression.added", "account": ACCOUNT, "key": KEY, "at": NOW}
    return new_entry(**{**values, "subject": subject, **given})


def a_message(**given: Any) -> NewMessage:
    """A message to Ada, of a campaign without a topic."""
    values: dict[str, Any] = {
        "account": ACCOUNT,
        "id": new_id(),
        "address": "ada@example.com",
        "address_key": ADDRESS_KEY,
        "email": "Ada@Example.com",
        "external_id": None,
        "campaign": "spring",
        "topic": None,
        "metadata": {},
        "opens": True,
        "clicks": True,
        "created_at": NOW,
    }
    return NewMessage(**{**values, **given})


def an_event(**given: Any) -> ProjectedEvent:
    """An event of a message that is gone, at a time of its own."""
    occurred_at = given.get("occurred_at", NOW)
    values: dict[str, Any] = dict.fromkeys(ProjectedEvent.__struct_fields__)
    values |= {
        "account_id": ACCOUNT,
        "id": event_id(occurred_at),
        "revision": 1,
        "type": "opened",
        "occurred_at": occurred_at,
        "campaign": "spring",
        "proxied": 0,
        "verdict": "human",
        "signals": "",
        "ruleset": 1,
        "generation": 0,
    }
    return ProjectedEvent(**{**values, **given})


async def add_accounts(databases: Databases, *accounts: bytes) -> None:
    """Accounts of these ids, for tests that want to know them before."""
    for account in accounts:
        made, _ = await Accounts(databases.main).create(account.decode())
        await databases.main.write(
            Change("update accounts set id = :new where id = :old", [{"new": account, "old": made.id}]),
            Change("update api_keys set account_id = :new where account_id = :old", [{"new": account, "old": made.id}]),
        )


async def add_message(databases: Databases, **given: Any) -> bytes:
    """The id of a message that is stored."""
    new = a_message(**given)
    await Messages(databases.main).add(new)
    return new.id


async def store_events(databases: Databases, events: Sequence[ProjectedEvent]) -> None:
    """The events, numbered, under the next mark."""
    projections = Projections(databases.main)
    mark = await projections.mark()
    sequences = await projections.sequences({event.account_id for event in events})
    await projections.store(Projection(old=mark, new=mark + 1, events=events), sequences)


async def open_journal(databases: Databases) -> Journal:
    """The journal of the inbox, as the serving process opens it."""
    journal = journal_of(databases.inbox)
    await journal.open(above=await Projections(databases.main).mark())
    return journal


async def left_to_project(databases: Databases) -> list[int]:
    """The keys of the journal that no event was made of yet."""
    mark = await Projections(databases.main).mark()
    return [row["id"] for row in await Journal(databases.main).read(after=mark, limit=100_000)]


async def pass_by(databases: Databases, upto: int) -> None:
    """What a projector does that has projected so far, and dropped all of it."""
    projections = Projections(databases.main)
    keys = [key for key in await left_to_project(databases) if key <= upto]
    await projections.store(Projection(old=await projections.mark(), new=upto, keys=keys, dropped=len(keys)), {})


async def rows_of(databases: Databases, table: str) -> list[Row]:
    """All rows of a table of either part, in the order of their first columns."""
    return await databases.main.fetch(f"select * from {table} order by 1, 2")


async def contents(databases: Databases, *tables: str) -> Mapping[str, list[dict[str, Any]]]:
    """All rows of these tables, to compare before and after."""
    return {table: [dict(row) for row in await rows_of(databases, table)] for table in tables}


async def known(databases: Databases, account: bytes = ACCOUNT) -> Account:
    """The account of that id."""
    found = await Accounts(databases.main).find(account)
    assert found is not None
    return found
