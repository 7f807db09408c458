"""Blocks, and the options of accounts."""

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, NOW, OTHER_ACCOUNT, a_message, add_accounts, known, rows_of
from tracker.domain.blocks import BLOCKED, NOT_ALLOWED, Kind
from tracker.storage.account_options import AccountOptions
from tracker.storage.accounts import Accounts
from tracker.storage.blocks import Blocks
from tracker.storage.messages import Messages, TooMany

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 60 * 60 * 1000
EVIL = "https://evil.example/"


async def test_block_is_found_as_it_was_made(databases: Databases) -> None:
    """By what it blocks and by its id, until it is removed."""
    blocks = Blocks(databases.main)
    block, is_new = await blocks.add(Kind.HOST, "evil.example", "report 12")
    assert is_new
    assert (block.kind, block.value, block.reason) == (Kind.HOST, "evil.example", "report 12")
    other, _ = await blocks.add(Kind.URL, EVIL, "report 13")
    assert await blocks.all() == [block, other]
    assert await blocks.find(Kind.HOST, "evil.example") == block
    assert await blocks.find_by_id(block.id) == block
    assert await blocks.find(Kind.URL, "evil.example") is None
    assert await blocks.remove(block)
    assert not await blocks.remove(block)
    assert await blocks.all() == [other]
    assert await blocks.find_by_id(block.id) is None


async def test_what_is_blocked_stays_as_it_is(databases: Databases) -> None:
    """With its first reason, and since then."""
    blocks = Blocks(databases.main)
    first, _ = await blocks.add(Kind.HOST, "evil.example", "first")
    assert await blocks.add(Kind.HOST, "evil.example", "second") == (first, False)
    assert await blocks.all() == [first]


async def test_every_change_of_what_is_stopped_is_noticed(databases: Databases) -> None:
    """By a number that servers read; what changes nothing about it leaves the accounts' own number alone."""
    await add_accounts(databases, ACCOUNT)
    blocks, options, accounts = Blocks(databases.main), AccountOptions(databases.main), Accounts(databases.main)
    directory = await accounts.directory_version()
    versions = [await blocks.version()]
    block, _ = await blocks.add(Kind.HOST, "evil.example", "x")
    versions.append(await blocks.version())
    await blocks.remove(block)
    versions.append(await blocks.version())
    await options.allow_hosts(ACCOUNT, ["shop.example"])
    versions.append(await blocks.version())
    assert versions == sorted(set(versions))
    assert await accounts.directory_version() == directory
    await options.limit(ACCOUNT, limited=True)
    assert await accounts.directory_version() > directory
    assert await blocks.version() == versions[-1]


async def test_stops_are_those_that_stand(databases: Databases) -> None:
    """Of every kind, and the hosts that accounts are held to."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    blocks, options = Blocks(databases.main), AccountOptions(databases.main)
    assert (await blocks.stops()).refusal(ACCOUNT, EVIL) is None
    await blocks.add(Kind.URL, EVIL, "x")
    await blocks.add(Kind.ACCOUNT, OTHER_ACCOUNT.hex(), "x")
    await options.allow_hosts(ACCOUNT, ["shop.example", "evil.example"])
    stops = await blocks.stops()
    assert stops.refusal(ACCOUNT, EVIL) == BLOCKED
    assert stops.refusal(ACCOUNT, "https://shop.example/") is None
    assert stops.refusal(ACCOUNT, "https://other.example/") == NOT_ALLOWED
    assert stops.refusal(OTHER_ACCOUNT, "https://shop.example/") == BLOCKED
    await options.allow_hosts(ACCOUNT, None)
    assert (await blocks.stops()).refusal(ACCOUNT, "https://other.example/") is None


async def test_options_are_shown_as_they_were_set(databases: Databases) -> None:
    """A new account is free, unless it is made otherwise; an account that is not there is told of."""
    options = AccountOptions(databases.main)
    free, _ = await Accounts(databases.main).create("Larkspur")
    held, _ = await Accounts(databases.main).create("Rook", limited=True)
    assert (free.limited, held.limited) == (False, True)
    assert [(one.name, one.limited, one.allowed_hosts) for one in await options.all()] == [
        ("Larkspur", False, None),
        ("Rook", True, None),
    ]
    assert await options.allow_hosts(free.id, ["b.example", "a.example"])
    assert await options.limit(free.id, limited=True)
    assert await options.limit(held.id, limited=False)
    found = await options.find(free.id)
    assert found is not None
    assert (found.limited, found.allowed_hosts) == (True, ("b.example", "a.example"))
    assert ((await known(databases, free.id)).limited, (await known(databases, held.id)).limited) == (True, False)
    assert await options.find(ACCOUNT) is None
    assert not await options.allow_hosts(ACCOUNT, None)
    assert not await options.limit(ACCOUNT, limited=True)


async def test_messages_of_a_day_are_counted_where_they_are_limited(databases: Databases) -> None:
    """All that are made at once or none; the next day begins anew, and what was counted is forgotten."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    messages = Messages(databases.main)
    first = NOW // DAY_MS * DAY_MS

    async def add(number: int, at: int, account: bytes = ACCOUNT) -> None:
        made = [a_message(account=account, address=f"a{n}@example.com", created_at=at) for n in range(number)]
        await messages.add(*made, most_a_day=5)

    with pytest.raises(TooMany) as refused:
        await add(6, first)
    assert refused.value.left == 5
    await add(3, first)
    with pytest.raises(TooMany) as refused:
        await add(3, first + DAY_MS - 1)
    assert refused.value.left == 2
    await add(2, first + DAY_MS - 1)
    with pytest.raises(TooMany) as refused:
        await add(1, first + DAY_MS - 1)
    assert refused.value.left == 0
    await add(5, first, OTHER_ACCOUNT)
    await add(5, first + DAY_MS)
    assert len(await rows_of(databases, "messages")) == 15
    assert [(row["account_id"], row["day"]) for row in await rows_of(databases, "daily_messages")] == [
        (ACCOUNT, first // DAY_MS + 1),
        (OTHER_ACCOUNT, first // DAY_MS),
    ]
    await messages.add(a_message(address="a@example.com", created_at=first + DAY_MS))
    assert len(await rows_of(databases, "messages")) == 16
