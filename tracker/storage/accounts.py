"""Accounts, as the main database holds them."""

import secrets
import time

import msgspec

from ..domain.audit import MakeEntry
from ..domain.ids import new_account_id, written
from .api_keys import SCOPES, new_key
from .audit import recorded, recorded_of_operator
from .database import Change, Database, Row
from .statements import load_statements

_SQL = load_statements("accounts")


class Account(msgspec.Struct, frozen=True):
    """A sending company. ``pepper`` keys its address keys and never leaves the server.

    ``limited``: the operator has yet to confirm it.
    """

    id: bytes
    name: str
    pepper: bytes
    limited: bool = False


class Sample(msgspec.Struct, frozen=True):
    """A recipient of an account: its address and the key that was made of it, and what keys are made with."""

    account: bytes
    pepper: bytes
    address: str
    address_key: bytes


class Accounts:
    """Makes accounts and finds them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, *, limited: bool = False) -> tuple[Account, str]:
        """A new account, and an API key of every scope, which is shown this once."""
        account = Account(new_account_id(), name, secrets.token_bytes(32), limited)
        row = {
            "id": account.id,
            "name": name,
            "pepper": account.pepper,
            "limited": int(limited),
            "created_at": _now(),
        }
        key = new_key(account.id, "first key", SCOPES)
        await self._database.write(
            Change(_SQL["insert_account"], [row]),
            key.inserted,
            Change(_SQL["touch_directory"]),
            recorded_of_operator("account.created", account.id, at=key.key.created_at),
        )
        return account, key.written

    async def find(self, account: bytes) -> Account | None:
        """The account of that id."""
        rows = await self._database.fetch(_SQL["account"], id=account)
        return _account(rows[0]) if rows else None

    async def samples(self) -> list[Sample]:
        """A recipient of each account that has any."""
        return [Sample(**row) for row in await self._database.fetch(_SQL["samples"])]

    async def all(self) -> list[Account]:
        """Every account."""
        return [_account(row) for row in await self._database.fetch(_SQL["all_accounts"])]

    async def rename(self, account: bytes, name: str, entry: MakeEntry) -> None:
        """Call it so from now on."""
        row = {"id": account, "name": name}
        await self._database.write(
            Change(_SQL["rename_account"], [row]), Change(_SQL["touch_directory"]), recorded(entry(written(account)))
        )

    async def any(self) -> bool:
        """Whether there is an account at all."""
        return bool(await self._database.fetch(_SQL["any_account"]))

    async def directory_version(self) -> int:
        """A number that grows with every change of an account."""
        rows = await self._database.fetch(_SQL["directory_version"])
        return int(rows[0]["version"])


def _account(row: Row) -> Account:
    return Account(row["id"], row["name"], row["pepper"], bool(row["limited"]))


def _now() -> int:
    return time.time_ns() // 1_000_000
