"""Accounts are found as they were made."""

import asyncio

import pytest
from msgspec.structs import replace

from tests.storage.databases import Databases
from tests.storage.samples import an_entry
from tracker.storage.accounts import Accounts
from tracker.storage.api_keys import SCOPES, Access, ApiKeys
from tracker.storage.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
def accounts(databases: Databases) -> Accounts:
    """The accounts of an installation that has none yet."""
    return Accounts(databases.main)


async def test_account_is_found_as_it_was_made(accounts: Accounts, databases: Databases) -> None:
    """With a pepper of its own, and a key that opens all of it."""
    assert not await accounts.any()
    one, key = await accounts.create("Exämple & Söhne")
    other, _ = await accounts.create("Exämple & Söhne")
    assert await accounts.any()
    assert await accounts.find(one.id) == one
    assert await accounts.find(bytes(8)) is None
    assert sorted(await accounts.all(), key=lambda account: account.id) == sorted([one, other], key=lambda a: a.id)
    assert (len(one.id), len(one.pepper)) == (8, 32)
    assert one.pepper != other.pepper
    identifier, secret = key.removeprefix("trk_").split("_", 1)
    opened = await ApiKeys(databases.main).open_with(bytes.fromhex(identifier), secret)
    assert opened == Access(one.id, bytes.fromhex(identifier), frozenset(SCOPES))


async def test_every_change_of_an_account_is_noticed(accounts: Accounts, databases: Databases) -> None:
    """By a number that servers read; a new key changes nothing that they keep."""
    versions = [await accounts.directory_version()]
    account, _ = await accounts.create("Example")
    versions.append(await accounts.directory_version())
    await accounts.create("Other")
    versions.append(await accounts.directory_version())
    assert versions == sorted(set(versions))
    await ApiKeys(databases.main).create(account.id, "second key", ["events"])
    assert await accounts.directory_version() == versions[-1]
    await accounts.rename(account.id, "Renamed", an_entry)
    assert await accounts.directory_version() > versions[-1]
    assert await accounts.find(account.id) == replace(account, name="Renamed")


async def test_accounts_made_at_once_are_all_there(databases: Databases) -> None:
    """By several commands, too."""

    async def make(database: Database) -> None:
        await Accounts(database).create("Example")

    await asyncio.gather(*(make(databases.main) for _ in range(20)))
    assert len(await Accounts(databases.main).all()) == 20
    assert await Accounts(databases.main).directory_version() == 20
