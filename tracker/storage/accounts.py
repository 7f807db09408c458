"""Accounts and their API keys."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence

import msgspec

from ..domain.ids import new_account_id
from .database import Change, Database, Row
from .statements import load_statements

_SQL = load_statements("accounts")

SCOPES = (
    "messages",
    "events",
    "suppressions:read",
    "suppressions:write",
    "recipients",
    "webhooks",
    "account",
)
"""What an API key may be allowed to do."""

_NOBODY = hashlib.sha256(b"").digest()


class Account(msgspec.Struct, frozen=True):
    """A sending company. ``pepper`` keys its address keys and never leaves the server.

    ``limited``: the operator has yet to confirm it.
    """

    id: bytes
    name: str
    pepper: bytes
    limited: bool = False


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is listed; its secret is known to its owner alone."""

    id: bytes
    account: bytes
    name: str
    scopes: tuple[str, ...]
    created_at: int
    revoked_at: int | None


class Access(msgspec.Struct, frozen=True):
    """What a valid API key opens."""

    account: bytes
    scopes: frozenset[str]


class Accounts:
    """Accounts and keys, as the main database holds them."""

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
        key, written = _new_key(account.id, "first key", SCOPES)
        await self._database.write(
            Change(_SQL["insert_account"], [row]),
            Change(_SQL["insert_api_key"], [key]),
            Change(_SQL["touch_directory"]),
        )
        return account, written

    async def find(self, account: bytes) -> Account | None:
        """The account of that id."""
        rows = await self._database.fetch(_SQL["account"], id=account)
        return _account(rows[0]) if rows else None

    async def all(self) -> list[Account]:
        """Every account."""
        return [_account(row) for row in await self._database.fetch(_SQL["all_accounts"])]

    async def any(self) -> bool:
        """Whether there is an account at all."""
        return bool(await self._database.fetch(_SQL["any_account"]))

    async def directory_version(self) -> int:
        """A number that grows with every change of an account."""
        rows = await self._database.fetch(_SQL["directory_version"])
        return int(rows[0]["version"])

    async def create_key(self, account: bytes, name: str, scopes: Sequence[str]) -> tuple[bytes, str]:
        """A new API key: its id, and the key itself, which is shown this once."""
        key, written = _new_key(account, name, scopes)
        await self._database.write(Change(_SQL["insert_api_key"], [key]))
        return bytes.fromhex(str(written).split("_", 2)[1]), written

    async def keys(self, account: bytes | None = None) -> list[ApiKey]:
        """The keys of one account, or of all; the revoked ones too."""
        if account is None:
            rows = await self._database.fetch(_SQL["list_all_api_keys"])
        else:
            rows = await self._database.fetch(_SQL["list_api_keys"], account_id=account)
        return [_api_key(row) for row in rows]

    async def revoke_key(self, key: bytes) -> bool:
        """Whether there was such a key, not yet revoked."""
        return bool(await self._database.change(_SQL["revoke_api_key"], id=key, revoked_at=_now()))

    async def open_with(self, key: bytes, secret: str) -> Access | None:
        """What this key opens; None for an unknown or revoked key or a wrong secret, after the same work."""
        rows = await self._database.fetch(_SQL["api_key"], id=key)
        expected = rows[0]["secret_hash"] if rows else _NOBODY
        right = hmac.compare_digest(_hashed(secret), expected)
        if not rows or not right:
            return None
        return Access(rows[0]["account_id"], frozenset(rows[0]["scopes"].split()))


def _new_key(account: bytes, name: str, scopes: Sequence[str]) -> tuple[dict[str, object], str]:
    key, secret = secrets.token_bytes(8), secrets.token_urlsafe(32)
    row = {
        "id": key,
        "account_id": account,
        "name": name,
        "scopes": " ".join(scopes),
        "secret_hash": _hashed(secret),
        "created_at": _now(),
    }
    return row, f"trk_{key.hex()}_{secret}"


def _hashed(secret: str) -> bytes:
    # A fast hash is right here: the secret is 256 random bits, which nobody can guess through.
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _account(row: Row) -> Account:
    return Account(row["id"], row["name"], row["pepper"], bool(row["limited"]))


def _api_key(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        account=row["account_id"],
        name=row["name"],
        scopes=tuple(row["scopes"].split()),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
