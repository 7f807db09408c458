"""API keys: made, listed and revoked, by the operator and by the account they belong to."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..domain.audit import MakeEntry
from ..domain.receipts import Receipt
from .audit import recorded, recorded_of_operator
from .database import Change, Database, Row, Stale
from .receipts import kept
from .statements import load_statements

_SQL = load_statements("api_keys")

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

MOST_KEYS = 200
"""In use at once, of those an account makes itself."""

_NOBODY = hashlib.sha256(b"").digest()
_ID_BYTES = 8


class TooManyKeys(Exception):
    """The account has :data:`MOST_KEYS` in use; none was made."""


class LastKey(Exception):
    """No other key of the account could make one; it was not revoked."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is listed; its secret is known to its owner alone."""

    id: bytes
    account: bytes
    name: str
    scopes: tuple[str, ...]
    created_at: int
    revoked_at: int | None

    @property
    def place(self) -> bytes:
        """Where it stands in its account's list: 16 bytes in the order of the list."""
        return self.created_at.to_bytes(8, "big") + self.id


class NewKey(NamedTuple):
    """A key, how it is written, which is shown once and kept nowhere, and its row."""

    key: ApiKey
    written: str
    row: Mapping[str, object]

    @property
    def inserted(self) -> Change:
        """What stores it."""
        return Change(_SQL["insert_api_key"], [self.row])


class Access(msgspec.Struct, frozen=True):
    """What a valid API key opens."""

    account: bytes
    key: bytes
    scopes: frozenset[str]


class ApiKeys:
    """Keys as the main database holds them; whoever is asked for one looks it up at every call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_with(self, key: bytes, secret: str) -> Access | None:
        """What this key opens; None for an unknown or revoked key or a wrong secret, after the same work."""
        rows = await self._database.fetch(_SQL["open_api_key"], id=key)
        expected = rows[0]["secret_hash"] if rows else _NOBODY
        right = hmac.compare_digest(_hashed(secret), expected)
        if not rows or not right:
            return None
        return Access(rows[0]["account_id"], key, frozenset(rows[0]["scopes"].split()))

    async def create(self, account: bytes, name: str, scopes: Sequence[str]) -> NewKey:
        """A new key, made by the operator."""
        new = new_key(account, name, scopes)
        entry = recorded_of_operator("key.created", account, new.key.id.hex(), at=new.key.created_at)
        await self._database.write(new.inserted, entry)
        return new

    async def create_own(
        self,
        account: bytes,
        name: str,
        scopes: Sequence[str],
        entry: MakeEntry,
        receipt: Callable[[ApiKey], Receipt | None] = lambda _: None,
    ) -> NewKey:
        """As :meth:`create`, for an account that does so itself. Raises :class:`TooManyKeys` and ``Stale``.

        ``receipt`` makes of the key what is kept beside it.
        """
        in_use = await self._database.fetch(_SQL["api_keys_in_use"], account_id=account, limit=MOST_KEYS)
        if len(in_use) == MOST_KEYS:
            raise TooManyKeys
        new = new_key(account, name, scopes)
        await self._database.write(new.inserted, recorded(entry(new.key.id.hex())), *kept(receipt(new.key)))
        return new

    async def all(self, account: bytes | None = None) -> list[ApiKey]:
        """The keys of one account, or of all; the revoked ones too."""
        if account is None:
            rows = await self._database.fetch(_SQL["everybodys_api_keys"])
        else:
            rows = await self._database.fetch(_SQL["all_api_keys"], account_id=account)
        return [_api_key(row) for row in rows]

    async def page(self, account: bytes, *, limit: int, beyond: bytes | None) -> list[ApiKey]:
        """The next keys of an account in the order in which they were made, from just beyond that place."""
        place = beyond or bytes(8 + _ID_BYTES)
        created_at, key = int.from_bytes(place[:8], "big"), place[8:]
        rows = await self._database.fetch(
            _SQL["api_keys"], account_id=account, created_at=created_at, id=key, limit=limit
        )
        return [_api_key(row) for row in rows]

    async def find(self, account: bytes, key: bytes) -> ApiKey | None:
        """A key of this account, also a revoked one."""
        rows = await self._database.fetch(_SQL["api_key"], account_id=account, id=key)
        return _api_key(rows[0]) if rows else None

    async def revoke(self, key: bytes) -> bool:
        """Whether there was such a key, not yet revoked, in any account; for the operator."""
        now, rows = _now(), await self._database.fetch(_SQL["open_api_key"], id=key)
        if not rows:
            return False
        revoking = Change(_SQL["revoke_any_api_key"], [{"id": key, "revoked_at": now}], affects=1)
        try:
            await self._database.write(
                revoking, recorded_of_operator("key.revoked", rows[0]["account_id"], key.hex(), at=now)
            )
        except Stale:
            return False
        return True

    async def revoke_own(self, account: bytes, key: bytes, entry: MakeEntry) -> bool:
        """Whether there is such a key of this account, which is revoked now. Raises :class:`LastKey`."""
        row = {"account_id": account, "id": key, "revoked_at": _now()}
        try:
            await self._database.write(Change(_SQL["revoke_api_key"], [row], affects=1), recorded(entry(key.hex())))
        except Stale:
            found = await self.find(account, key)
            if found is not None and found.revoked_at is None:
                raise LastKey from None
            return found is not None
        return True


def new_key(account: bytes, name: str, scopes: Sequence[str]) -> NewKey:
    """A key that is stored nowhere yet."""
    identifier, secret = secrets.token_bytes(_ID_BYTES), secrets.token_urlsafe(32)
    row = {
        "id": identifier,
        "account_id": account,
        "name": name,
        "scopes": " ".join(scopes),
        "secret_hash": _hashed(secret),
        "created_at": _now(),
    }
    return NewKey(_api_key({**row, "revoked_at": None}), f"trk_{identifier.hex()}_{secret}", row)


def _hashed(secret: str) -> bytes:
    # A fast hash is right here: the secret is 256 random bits, which nobody can guess through.
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


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
