"""API keys open what they are for, and are made and revoked by whoever may."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import an_entry, rows_of
from tracker.storage.accounts import Accounts
from tracker.storage.api_keys import MOST_KEYS, SCOPES, Access, ApiKeys, LastKey, TooManyKeys

pytestmark = pytest.mark.anyio


@pytest.fixture
def accounts(databases: Databases) -> Accounts:
    """The accounts of an installation that has none yet."""
    return Accounts(databases.main)


@pytest.fixture
def keys(databases: Databases) -> ApiKeys:
    """Its keys."""
    return ApiKeys(databases.main)


def parts_of(key: str) -> tuple[bytes, str]:
    word, identifier, secret = key.split("_", 2)
    assert word == "trk"
    assert len(identifier) == 16
    return bytes.fromhex(identifier), secret


@pytest.mark.parametrize("scopes", [["events"], ["messages", "suppressions:read"], []])
async def test_key_opens_its_scopes_alone(accounts: Accounts, keys: ApiKeys, scopes: Sequence[str]) -> None:
    """And the account it was made for."""
    account, _ = await accounts.create("Example")
    new = await keys.create(account.id, "key", scopes)
    assert parts_of(new.written)[0] == new.key.id
    assert await keys.open_with(*parts_of(new.written)) == Access(account.id, new.key.id, frozenset(scopes))


async def test_wrong_key_opens_nothing(accounts: Accounts, keys: ApiKeys) -> None:
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
        assert await keys.open_with(identifier, secret) is None


async def test_revoked_key_opens_nothing_any_more(accounts: Accounts, keys: ApiKeys) -> None:
    """From the next call on; it can be revoked once, and the other keys stay."""
    account, first = await accounts.create("Example")
    new = await keys.create(account.id, "key", ["events"])
    assert await keys.revoke(new.key.id)
    assert await keys.open_with(*parts_of(new.written)) is None
    assert await keys.open_with(*parts_of(first)) is not None
    assert not await keys.revoke(new.key.id)
    assert not await keys.revoke(bytes(8))


async def test_keys_are_listed_without_their_secrets(accounts: Accounts, keys: ApiKeys) -> None:
    """Those of one account, or all; the revoked ones too."""
    one, _ = await accounts.create("Example")
    two, _ = await accounts.create("Other")
    new = await keys.create(one.id, "key", ["events", "account"])
    await keys.revoke(new.key.id)
    listed = await keys.all(one.id)
    assert [(key.name, key.account, key.scopes) for key in listed] == [
        ("first key", one.id, SCOPES),
        ("key", one.id, ("events", "account")),
    ]
    assert [key.revoked_at is None for key in listed] == [True, False]
    assert {key.account for key in await keys.all()} == {one.id, two.id}
    assert len(await keys.all()) == 3


async def test_pages_hold_each_key_once(accounts: Accounts, keys: ApiKeys) -> None:
    """Also those that were made in the same millisecond, whose ids are in no order."""
    account, _ = await accounts.create("Example")
    await accounts.create("Other")
    for number in range(9):
        await keys.create(account.id, f"key {number}", ["events"])
    found, beyond = list[bytes](), None
    while page := await keys.page(account.id, limit=2, beyond=beyond):
        found += [key.id for key in page]
        beyond = page[-1].place
    assert found == [key.id for key in await keys.all(account.id)]
    assert len(found) == 10


async def test_account_reaches_its_own_keys_alone(accounts: Accounts, keys: ApiKeys) -> None:
    """The operator's command reaches all; an account neither sees nor revokes what is another's."""
    one, _ = await accounts.create("Example")
    two, second = await accounts.create("Other")
    theirs = parts_of(second)[0]
    assert await keys.find(one.id, theirs) is None
    assert not await keys.revoke_own(one.id, theirs, an_entry)
    assert await keys.open_with(*parts_of(second)) is not None
    assert (await keys.find(two.id, theirs)) == (await keys.all(two.id))[0]


async def test_last_key_that_can_make_another_stays(accounts: Accounts, keys: ApiKeys) -> None:
    """Whatever other keys there are, revoked ones of this scope and those of other accounts among them."""
    account, first = await accounts.create("Example")
    await accounts.create("Other")
    only = await keys.create(account.id, "another", ["events", "account"])
    mailer = await keys.create(account.id, "mailer", ["messages"])
    assert await keys.revoke_own(account.id, parts_of(first)[0], an_entry)
    with pytest.raises(LastKey):
        await keys.revoke_own(account.id, only.key.id, an_entry)
    assert await keys.open_with(*parts_of(only.written)) is not None
    assert await keys.revoke_own(account.id, mailer.key.id, an_entry)
    assert await keys.revoke_own(account.id, mailer.key.id, an_entry)


async def test_two_that_revoke_each_other_leave_one(accounts: Accounts, keys: ApiKeys) -> None:
    """Whoever comes second is told."""
    account, _ = await accounts.create("Example")
    await keys.create(account.id, "another", ["account"])
    both = await keys.all(account.id)
    revoking = [keys.revoke_own(account.id, key.id, an_entry) for key in both]
    ended = await asyncio.gather(*revoking, return_exceptions=True)
    assert [type(end) for end in ended if end is not True] == [LastKey]
    assert [key.revoked_at is None for key in await keys.all(account.id)].count(True) == 1


async def test_keys_in_use_are_limited(accounts: Accounts, keys: ApiKeys) -> None:
    """Of those an account makes itself; revoking one makes room."""
    account, _ = await accounts.create("Example")
    for _ in range(MOST_KEYS - 1):
        new = await keys.create_own(account.id, "key", ["events"], an_entry)
    with pytest.raises(TooManyKeys):
        await keys.create_own(account.id, "key", ["events"], an_entry)
    await keys.revoke_own(account.id, new.key.id, an_entry)
    await keys.create_own(account.id, "key", ["events"], an_entry)


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
