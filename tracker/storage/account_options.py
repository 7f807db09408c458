"""What an operator decides about an account."""

import time
from collections.abc import Sequence

import msgspec

from .audit import recorded_of_operator
from .database import Change, Database, Row, Stale
from .statements import load_statements

_SQL = load_statements("accounts")
_BLOCKS = load_statements("blocks")


class AccountShown(msgspec.Struct, frozen=True, kw_only=True):
    """An account as its operator sees it. ``allowed_hosts`` is None where its links may lead anywhere."""

    id: bytes
    name: str
    created_at: int
    limited: bool
    allowed_hosts: tuple[str, ...] | None


class AccountOptions:
    """The options of accounts, as the main database holds them. Servers notice a change by its version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[AccountShown]:
        """Every account, the oldest first."""
        return [_shown(row) for row in await self._database.fetch(_SQL["list_accounts"])]

    async def find(self, account: bytes) -> AccountShown | None:
        """The account of that id."""
        rows = await self._database.fetch(_SQL["account_options"], id=account)
        return _shown(rows[0]) if rows else None

    async def allow_hosts(self, account: bytes, hosts: Sequence[str] | None) -> bool:
        """Let its links lead to these hosts and what is under them alone, or anywhere; whether it is there."""
        row = {"id": account, "allowed_hosts": " ".join(hosts) if hosts is not None else None}
        change = Change(_SQL["set_allowed_hosts"], [row], affects=1)
        return await self._change(account, "account.hosts_changed", change, _BLOCKS["touch_blocks"])

    async def limit(self, account: bytes, *, limited: bool) -> bool:
        """Limit the account until it is confirmed, or confirm it; whether it is there."""
        row = {"id": account, "limited": int(limited)}
        action = "account.limited" if limited else "account.confirmed"
        change = Change(_SQL["set_limited"], [row], affects=1)
        return await self._change(account, action, change, _SQL["touch_directory"])

    async def _change(self, account: bytes, action: str, change: Change, touch: str) -> bool:
        entry = recorded_of_operator(action, account, at=time.time_ns() // 1_000_000)
        try:
            await self._database.write(change, Change(touch), entry)
        except Stale:
            return False
        return True


def _shown(row: Row) -> AccountShown:
    hosts = row["allowed_hosts"]
    return AccountShown(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        limited=bool(row["limited"]),
        allowed_hosts=tuple(hosts.split()) if hosts is not None else None,
    )
