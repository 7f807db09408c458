"""Topics are an account's own."""

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, NOW, OTHER_ACCOUNT, a_message, an_entry, rows_of
from tracker.storage.database import Change
from tracker.storage.messages import Messages
from tracker.storage.migrations import migrations
from tracker.storage.topics import Topics

pytestmark = pytest.mark.anyio


async def test_topics_of_one_account_are_nothing_to_another(databases: Databases) -> None:
    """Neither listed nor found nor deleted; the same name is another topic there."""
    topics = Topics(databases.main)
    assert await topics.make(ACCOUNT, "offers", NOW, an_entry)
    assert await topics.page(OTHER_ACCOUNT, limit=10, beyond=None) == []
    assert await topics.find(OTHER_ACCOUNT, "offers") is None
    assert not await topics.delete(OTHER_ACCOUNT, "offers", an_entry)
    assert await topics.make(OTHER_ACCOUNT, "offers", NOW + 1, an_entry)
    await Messages(databases.main).add(a_message(account=OTHER_ACCOUNT, topic="offers"))
    ours = await topics.find(ACCOUNT, "offers")
    assert ours is not None
    assert (ours.created_at, ours.messages) == (NOW, 0)


async def test_topic_made_again_stays_as_it_was(databases: Databases) -> None:
    """Its time and its number are those of the first."""
    topics = Topics(databases.main)
    await Messages(databases.main).add(a_message(topic="offers"))
    before = await topics.find(ACCOUNT, "offers")
    assert not await topics.make(ACCOUNT, "offers", NOW + 1, an_entry)
    assert await topics.find(ACCOUNT, "offers") == before


async def test_pages_go_on_where_they_ended(databases: Databases) -> None:
    """In the order in which topics were made."""
    topics = Topics(databases.main)
    for name in "cab":
        await topics.make(ACCOUNT, name, NOW, an_entry)
    first = await topics.page(ACCOUNT, limit=2, beyond=None)
    rest = await topics.page(ACCOUNT, limit=2, beyond=first[-1].id)
    assert [topic.name for topic in (*first, *rest)] == ["c", "a", "b"]


async def test_topics_used_before_there_was_a_table_are_listed(databases: Databases) -> None:
    """An installation that is brought to this release knows those of its messages, with their numbers."""
    messages = [a_message(topic="offers", created_at=NOW + n) for n in range(3)]
    await Messages(databases.main).add(*messages, a_message())
    [script] = [one for one in migrations("main") if one.name == "0002_topics"]
    await databases.main.write(Change("drop table topics"), *(Change(statement) for statement in script.statements))
    [row] = await rows_of(databases, "topics")
    assert dict(row) == {
        "account_id": ACCOUNT,
        "name": "offers",
        "id": min(new.id for new in messages),
        "created_at": NOW,
        "messages": 3,
    }
