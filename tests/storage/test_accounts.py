"""Accounts and their API keys."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import rows_of
from tracker.storage.accounts import SCOPES, Access, Accounts
from tracker.storage.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
def accounts(databases: Databases) -> Accounts:
    """The accounts of an installation that has none yet."""
    return Accounts(databases.main)


def parts_of(key: str) -> tuple[bytes, str]:
    word, identifier, secret = key.split("_", 2)
    assert word == "trk"
    assert len(identifier) == 16
    return bytes.fromhex(identifier), secret


async def test_account_is_found_as_it_was_made(accounts: Accounts) -> None:
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
    assert await accounts.open_with(*parts_of(key)) == Access(one.id, frozenset(SCOPES))


async def test_every_new_account_is_noticed(accounts: Accounts) -> None:
    """By a number that servers read; a new key changes nothing that they keep."""
    versions = [await accounts.directory_version()]
    account, _ = await accounts.create("Example")
    versions.append(await accounts.directory_version())
    await accounts.create("Other")
    versions.append(await accounts.directory_version())
    assert versions == sorted(set(versions))
    await accounts.create_key(account.id, "second key", ["events"])
    assert await accounts.directory_version() == versions[-1]


@pytest.mark.parametrize("scopes", [["events"], ["messages", "suppressions:read"], []])
async def test_key_opens_its_scopes_alone(accounts: Accounts, scopes: Sequence[str]) -> None:
    """And the account it was made for."""
    account, _ = await accounts.create("Example")
    identifier, key = await accounts.create_key(account.id, "key", scopes)
    assert parts_of(key)[0] == identifier
    assert await accounts.open_with(*parts_of(key)) == Access(account.id, frozenset(scopes))


async def test_wrong_key_opens_nothing(accounts: Accounts) -> None:
    """Another secret, another id, half of either."""
    _, one = await accounts.create("Example")
    _, other = await accounts.create("Other")
    (one_id, one_secret), (other_id, other_secret) = parts_of(one), parts_of(other)
    for identifier, secret in (
        (one_id, other_secret),
        (other_id, one_secret),
        (one_id, one_secret[:-1]),
        (one_id, f"{one_secret} "),
        (one_id, ""),
        (one_id, "half a \ud800 pair"),
        (bytes(8), one_secret),
        (bytes(8), ""),
        (b"", one_secret),
    ):
        assert await accounts.open_with(identifier, secret) is None


async def test_revoked_key_opens_nothing_any_more(accounts: Accounts) -> None:
    """From the next call on; it can be revoked once, and the other keys stay."""
    account, first = await accounts.create("Example")
    identifier, key = await accounts.create_key(account.id, "key", ["events"])
    assert await accounts.revoke_key(identifier)
    assert await accounts.open_with(*parts_of(key)) is None
    assert await accounts.open_with(*parts_of(first)) is not None
    assert not await accounts.revoke_key(identifier)
    assert not await accounts.revoke_key(bytes(8))


async def test_keys_are_listed_without_their_secrets(accounts: Accounts) -> None:
    """Those of one account, or all; the revoked ones too."""
    one, _ = await accounts.create("Example")
    two, _ = await accounts.create("Other")
    identifier, _ = await accounts.create_key(one.id, "key", ["events", "account"])
    await accounts.revoke_key(identifier)
    listed = await accounts.keys(one.id)
    assert [(key.name, key.account, key.scopes) for key in listed] == [
        ("first key", one.id, SCOPES),
        ("key", one.id, ("events", "account")),
    ]
    assert [key.revoked_at is None for key in listed] == [True, False]
    assert {key.account for key in await accounts.keys()} == {one.id, two.id}
    assert len(await accounts.keys()) == 3


def bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_secret_is_nowhere_in_the_database(accounts: Accounts, databases: Databases, tmp_path: Path) -> None:
    """B-21: what is stored opens nothing."""
    _, key = await accounts.create("Example")
    secret = parts_of(key)[1]
    for row in await rows_of(databases, "api_keys"):
        assert not any(
            secret.encode() in (value if isinstance(value, bytes) else str(value).encode()) for value in row.values()
        )
    assert secret.encode() not in bytes_in(tmp_path)


async def test_accounts_made_at_once_are_all_there(databases: Databases) -> None:
    """By several commands, too."""

    async def make(database: Database) -> None:
        await Accounts(database).create("Example")

    await asyncio.gather(*(make(databases.main) for _ in range(20)))
    assert len(await Accounts(databases.main).all()) == 20
    assert await Accounts(databases.main).directory_version() == 20
