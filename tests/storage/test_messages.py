"""Messages with their recipients and campaigns."""

import asyncio
from collections.abc import Mapping

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, ADDRESS_KEY, NOW, OTHER_ACCOUNT, a_message, contents, rows_of
from tracker.storage.database import Refused
from tracker.storage.messages import Context, Message, Messages, NewMessage

pytestmark = pytest.mark.anyio


async def recipient_of(messages: Messages, new: NewMessage) -> bytes:
    """Whom it was stored for."""
    return (await messages.add(new))[new.id]


async def test_message_is_found_as_it_was_made(databases: Databases) -> None:
    """With all it was made with, until the sender says when it was sent."""
    messages = Messages(databases.main)
    metadata: Mapping[str, str | int | float | bool | None] = {
        "segment": "b",
        "size": 3,
        "share": 0.5,
        "vip": True,
        "none": None,
        "odd": 'é"\u2028\0',
    }
    new = a_message(external_id="crm-1", topic="offers", metadata=metadata, opens=False)
    recipient = await recipient_of(messages, new)
    assert await messages.find(ACCOUNT, new.id) == Message(
        id=new.id,
        recipient=recipient,
        campaign="spring",
        topic="offers",
        email="Ada@Example.com",
        external_id="crm-1",
        metadata=metadata,
        opens=False,
        clicks=True,
        created_at=NOW,
        sent_at=None,
    )
    assert await messages.address_key_of(ACCOUNT, recipient) == ADDRESS_KEY


async def test_same_address_is_the_same_recipient(databases: Databases) -> None:
    """Twice the same address is two messages to one."""
    messages = Messages(databases.main)
    first = await recipient_of(messages, a_message(created_at=1))
    assert await recipient_of(messages, a_message(created_at=2, email="ada@EXAMPLE.com")) == first
    [recipient] = await rows_of(databases, "recipients")
    assert recipient["created_at"] == 1
    assert [row["email"] for row in await rows_of(databases, "messages")] == ["Ada@Example.com", "ada@EXAMPLE.com"]


async def test_another_spelling_of_the_local_part_is_another_recipient(databases: Databases) -> None:
    """A15.5: two people, and one opt-out."""
    messages = Messages(databases.main)
    first = await recipient_of(messages, a_message())
    assert first != await recipient_of(messages, a_message(address="Ada@example.com"))
    assert {bytes(row["address_key"]) for row in await rows_of(databases, "recipients")} == {ADDRESS_KEY}


async def test_same_address_is_another_recipient_in_another_account(databases: Databases) -> None:
    """No number and no row crosses from one account to another."""
    messages = Messages(databases.main)
    mine, theirs = a_message(), a_message(account=OTHER_ACCOUNT)
    recipient = await recipient_of(messages, theirs)
    assert recipient != await recipient_of(messages, mine)
    assert await messages.find(ACCOUNT, theirs.id) is None
    assert await messages.find(OTHER_ACCOUNT, mine.id) is None
    with pytest.raises(LookupError):
        await messages.address_key_of(ACCOUNT, recipient)
    assert await messages.contexts(ACCOUNT, [mine.id, theirs.id]) == {mine.id: Context("spring", None)}


async def test_latest_external_id_is_kept(databases: Databases) -> None:
    """A message keeps the one it was made with; one that is not given takes none away."""
    messages = Messages(databases.main)
    given = [None, "crm-1", None, "crm-2", None]
    kept = []
    for external_id in given:
        await messages.add(a_message(external_id=external_id))
        kept.append((await rows_of(databases, "recipients"))[0]["external_id"])
    assert kept == [None, "crm-1", "crm-1", "crm-2", "crm-2"]
    assert [row["external_id"] for row in await rows_of(databases, "messages")] == given


async def test_external_id_may_be_shared(databases: Databases) -> None:
    """It is the customer's, and not for us to judge."""
    messages = Messages(databases.main)
    await messages.add(a_message(external_id="crm-1"))
    await messages.add(a_message(external_id="crm-1", address="bob@example.com"))
    assert len(await rows_of(databases, "recipients")) == 2


async def test_campaign_comes_into_being_with_its_first_message(databases: Databases) -> None:
    """And counts the others."""
    messages = Messages(databases.main)
    for created_at, campaign in ((5, "spring"), (7, "spring"), (6, "autumn")):
        await messages.add(a_message(created_at=created_at, campaign=campaign))
    await messages.add(a_message(account=OTHER_ACCOUNT, created_at=1))
    campaigns = [tuple(row.values()) for row in await rows_of(databases, "campaigns")]
    assert campaigns == [(ACCOUNT, "autumn", 6, 1), (ACCOUNT, "spring", 5, 2), (OTHER_ACCOUNT, "spring", 1, 1)]


async def test_message_that_is_refused_leaves_nothing(databases: Databases) -> None:
    """Neither a recipient nor a campaign, nor one message more in its count."""
    messages = Messages(databases.main)
    new = a_message()
    await messages.add(new)
    tables = ("campaigns", "recipients", "messages")
    before = await contents(databases, *tables)
    for bad in (
        a_message(id=new.id, external_id="crm-9"),
        a_message(id=new.id, address="bob@example.com", campaign="autumn"),
        a_message(created_at=2**63, address="bob@example.com", campaign="autumn"),
    ):
        with pytest.raises(Refused):
            await messages.add(bad)
        assert await contents(databases, *tables) == before


async def test_messages_made_at_once_share_their_recipient(databases: Databases) -> None:
    """A mailer may ask for many at a time."""
    messages = Messages(databases.main)
    made = (a_message(external_id=f"crm-{n}") for n in range(30))
    recipients = await asyncio.gather(*(recipient_of(messages, one) for one in made))
    assert len(set(recipients)) == 1
    assert [row["messages"] for row in await rows_of(databases, "campaigns")] == [30]


async def test_contexts_are_of_those_that_exist(databases: Databases) -> None:
    """Whatever a token names, and however many."""
    messages = Messages(databases.main)
    new = [a_message(topic=f"topic {number}") for number in range(5)]
    for one in new:
        await messages.add(one)
    gone = [number.to_bytes(16, "big") for number in range(3_000)]
    assert await messages.contexts(ACCOUNT, [*gone, *(one.id for one in new)]) == {
        one.id: Context("spring", one.topic) for one in new
    }
    assert await messages.contexts(ACCOUNT, []) == {}
    assert await messages.find(ACCOUNT, gone[0]) is None
    with pytest.raises(LookupError):
        await messages.address_key_of(ACCOUNT, bytes(16))
