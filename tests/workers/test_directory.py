"""The accounts in memory: known at once, and known while the database is away."""

import logging

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, OTHER_ACCOUNT, add_accounts, known
from tests.workers.states import until
from tracker.storage.accounts import Account, Accounts
from tracker.storage.database import Unavailable
from tracker.workers.directory import Directory

pytestmark = pytest.mark.anyio

NEVER_S = 1_000.0


class Counting(Accounts):
    """Counts what it is asked."""

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases.main)
        self.asked: list[str] = []

    async def find(self, account: bytes) -> Account | None:
        self.asked.append("find")
        return await super().find(account)

    async def all(self) -> list[Account]:
        self.asked.append("all")
        return await super().all()


async def hide_accounts(databases: Databases) -> None:
    """The database cannot be asked any more."""
    await databases.main.change("alter table accounts rename to hidden")


async def show_accounts(databases: Databases) -> None:
    await databases.main.change("alter table hidden rename to accounts")


async def test_accounts_are_known_from_the_start(databases: Databases) -> None:
    """All of them, without a question for each."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    accounts = Counting(databases)
    async with Directory(accounts, interval_s=NEVER_S) as directory:
        for account in (ACCOUNT, OTHER_ACCOUNT):
            assert await directory.find(account) == await known(databases, account)
    assert accounts.asked == ["all"]


async def test_new_account_is_known_at_once(databases: Databases) -> None:
    """A command works once it has printed its key: a miss asks the database, and is remembered."""
    accounts = Counting(databases)
    async with Directory(accounts, interval_s=NEVER_S) as directory:
        made, _ = await Accounts(databases.main).create("Example")
        assert await directory.find(made.id) == made
        assert await directory.find(made.id) == made
    assert accounts.asked == ["all", "find"]


async def test_account_that_the_database_never_heard_of_is_none(databases: Databases) -> None:
    """It is asked for each time, since it may come."""
    accounts = Counting(databases)
    async with Directory(accounts, interval_s=NEVER_S) as directory:
        assert await directory.find(ACCOUNT) is None
        assert await directory.find(ACCOUNT) is None
        await add_accounts(databases, ACCOUNT)
        assert await directory.find(ACCOUNT) == await known(databases)
    assert accounts.asked == ["all", "find", "find", "find"]


async def test_last_state_holds_while_the_database_is_away(databases: Databases) -> None:
    """Who is known stays known; of the others nobody can say whether they are."""
    await add_accounts(databases, ACCOUNT)
    account = await known(databases)
    async with Directory(Accounts(databases.main), interval_s=NEVER_S) as directory:
        await hide_accounts(databases)
        assert await directory.find(ACCOUNT) == account
        with pytest.raises(Unavailable):
            await directory.find(OTHER_ACCOUNT)
        await databases.main.change("update directory set version = version + 1")
        with pytest.raises(Unavailable):
            await directory.refresh()
        assert await directory.find(ACCOUNT) == account
        await show_accounts(databases)
        assert await directory.find(OTHER_ACCOUNT) is None


async def test_change_is_noticed(databases: Databases) -> None:
    """All accounts are read again when one has changed, and only then."""
    await add_accounts(databases, ACCOUNT)
    accounts = Counting(databases)
    async with Directory(accounts, interval_s=NEVER_S) as directory:
        await directory.refresh()
        await directory.refresh()
        assert accounts.asked == ["all"]
        await databases.main.change("update accounts set name = 'New name'")
        await databases.main.change("update directory set version = version + 1")
        await directory.refresh()
        found = await directory.find(ACCOUNT)
        assert found is not None
        assert found.name == "New name"
    assert accounts.asked == ["all", "all"]


async def test_directory_rereads_by_itself_and_outlives_an_outage(databases: Databases) -> None:
    """Within its interval, once the database can be read again."""
    await add_accounts(databases, ACCOUNT)
    async with Directory(Accounts(databases.main), interval_s=0.002) as directory:
        await hide_accounts(databases)
        await databases.main.change("update directory set version = version + 1")
        with pytest.raises(Unavailable):
            await directory.refresh()
        await databases.main.change("update hidden set name = 'New name'")
        await show_accounts(databases)

        async def is_renamed() -> bool:
            found = await directory.find(ACCOUNT)
            return found is not None and found.name == "New name"

        await until(is_renamed)


async def test_error_of_any_kind_does_not_end_the_directory(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers never die quietly; of a trouble that lasts the log speaks once."""
    caplog.set_level(logging.WARNING, "tracker")

    class Stumbling(Accounts):
        turns = 0

        async def directory_version(self) -> int:
            self.turns += 1
            if self.turns in (2, 3, 5, 6):
                raise RuntimeError("a mistake of ours")
            return await super().directory_version()

    accounts = Stumbling(databases.main)
    async with Directory(accounts, interval_s=0.002):
        await until(lambda: accounts.turns >= 7)
    assert len([record for record in caplog.records if "RuntimeError" in record.message]) == 2
