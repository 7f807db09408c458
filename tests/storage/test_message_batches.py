"""Messages are stored together, with the recipients, campaigns and topics they name."""

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, NOW, OTHER_ACCOUNT, a_message, contents, rows_of
from tracker.domain.ids import new_id
from tracker.storage.database import Stale
from tracker.storage.messages import Messages

pytestmark = pytest.mark.anyio


async def test_numbers_grow_by_the_messages_of_a_call(databases: Databases) -> None:
    """One row for each campaign and topic, whatever one statement holds."""
    messages = Messages(databases.main)
    for calls in (3, 600):
        made = [a_message(address=f"{n}@example.com", topic="offers" if n % 3 else None) for n in range(calls)]
        assert len(await messages.add(*made)) == calls
    assert [(row["name"], row["messages"]) for row in await rows_of(databases, "campaigns")] == [("spring", 603)]
    assert [(row["name"], row["messages"]) for row in await rows_of(databases, "topics")] == [("offers", 402)]


async def test_campaigns_and_topics_of_one_call_are_counted_apart(databases: Databases) -> None:
    """Each begins with its own first message."""
    made = [a_message(campaign=name, topic=name, created_at=NOW + n) for n, name in enumerate("aba")]
    await Messages(databases.main).add(*made)
    found = [(row["name"], row["messages"], row["first_message_at"]) for row in await rows_of(databases, "campaigns")]
    assert found == [("a", 2, NOW), ("b", 1, NOW + 1)]
    found = [(row["name"], row["messages"], row["created_at"]) for row in await rows_of(databases, "topics")]
    assert found == [("a", 2, NOW), ("b", 1, NOW + 1)]


async def test_same_address_twice_is_one_recipient_with_the_last_external_id(databases: Databases) -> None:
    """In one call as in two; a message without one changes nothing."""
    messages = Messages(databases.main)
    made = [a_message(external_id=given) for given in ("one", "two", None)]
    recipients = await messages.add(*made)
    assert set(recipients) == {new.id for new in made}
    [row] = await rows_of(databases, "recipients")
    assert set(recipients.values()) == {row["id"]}
    assert row["external_id"] == "two"
    later = await messages.add(a_message(external_id="three"), a_message())
    assert set(later.values()) == {row["id"]}
    [row] = await rows_of(databases, "recipients")
    assert row["external_id"] == "three"


async def test_each_account_has_recipients_of_its_own(databases: Databases) -> None:
    """A message is never joined to the recipient of another account."""
    messages = Messages(databases.main)
    first = await messages.add(a_message())
    second = await messages.add(a_message(account=OTHER_ACCOUNT))
    owners = {row["id"]: row["account_id"] for row in await rows_of(databases, "recipients")}
    assert [owners[recipient] for recipient in (*first.values(), *second.values())] == [ACCOUNT, OTHER_ACCOUNT]


async def test_messages_are_stored_all_or_none(databases: Databases) -> None:
    """One that cannot be stored leaves nothing of the others, not even their campaign."""
    twice = a_message()
    before = await contents(databases, "messages", "recipients", "campaigns", "topics")
    with pytest.raises((ValueError, Stale)):
        await Messages(databases.main).add(a_message(topic="offers"), twice, twice)
    assert await contents(databases, "messages", "recipients", "campaigns", "topics") == before


async def test_sent_messages_are_those_of_the_account(databases: Databases) -> None:
    """Of another account's message it is not kept when it was sent, nor told that there is one."""
    messages, ours, theirs = Messages(databases.main), a_message(), a_message(account=OTHER_ACCOUNT)
    await messages.add(ours)
    await messages.add(theirs)
    sent = {ours.id: NOW + 1, theirs.id: NOW + 2, new_id(): NOW + 3}
    assert set(await messages.recipients_of(ACCOUNT, list(sent))) == {ours.id}
    await messages.mark_sent(ACCOUNT, sent)
    assert {row["id"]: row["sent_at"] for row in await rows_of(databases, "messages")} == {
        ours.id: NOW + 1,
        theirs.id: None,
    }
