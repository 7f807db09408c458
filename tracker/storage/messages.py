"""Messages: one mail to one recipient each, as it was made."""

from collections.abc import Mapping, Sequence

import msgspec

from ..domain.ids import new_id
from .database import Change, Database, Row
from .statements import load_statements

_SQL = load_statements("messages")


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be stored. ``address`` identifies the recipient, ``email`` is as the mailer wrote it."""

    account: bytes
    id: bytes
    address: str
    address_key: bytes
    email: str
    external_id: str | None
    campaign: str
    topic: str | None
    metadata: Mapping[str, str | int | float | bool | None]
    opens: bool
    clicks: bool
    created_at: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message; times are Unix milliseconds."""

    id: bytes
    recipient: bytes
    campaign: str
    topic: str | None
    email: str | None
    external_id: str | None
    metadata: Mapping[str, str | int | float | bool | None]
    opens: bool
    clicks: bool
    created_at: int
    sent_at: int | None


class Messages:
    """Messages with their recipients and campaigns, which come into being with the first message that names them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewMessage) -> bytes:
        """Store a message, all of it or nothing, and give its recipient's id."""
        row = _row(new)
        await self._database.write(
            Change(_SQL["upsert_campaign"], [row]),
            Change(_SQL["upsert_recipient"], [row]),
            Change(_SQL["insert_message"], [row], affects=1),
        )
        rows = await self._database.fetch(_SQL["message"], account_id=new.account, id=new.id)
        return bytes(rows[0]["recipient_id"])

    async def find(self, account: bytes, message: bytes) -> Message | None:
        """A message of this account."""
        rows = await self._database.fetch(_SQL["message"], account_id=account, id=message)
        return _message(rows[0]) if rows else None

    async def address_key_of(self, account: bytes, recipient: bytes) -> bytes:
        """The key that suppressions of this recipient are found by. Raises ``LookupError``."""
        rows = await self._database.fetch(_SQL["address_key_of"], account_id=account, id=recipient)
        if not rows:
            raise LookupError("no such recipient")
        return bytes(rows[0]["address_key"])

    async def contexts(self, account: bytes, messages: Sequence[bytes]) -> dict[bytes, tuple[str, str | None]]:
        """Campaign and topic of those of these messages that exist in this account."""
        rows = await self._database.fetch(_SQL["messages"], account_id=account, ids=list(messages))
        return {row["id"]: (row["campaign"], row["topic"]) for row in rows}


def _row(new: NewMessage) -> dict[str, object]:
    return {
        "account_id": new.account,
        "id": new.id,
        "new_recipient_id": new_id(),
        "address": new.address,
        "address_key": new.address_key,
        "email": new.email,
        "external_id": new.external_id,
        "campaign": new.campaign,
        "topic": new.topic,
        "metadata": msgspec.json.encode(new.metadata).decode(),
        "opens": int(new.opens),
        "clicks": int(new.clicks),
        "created_at": new.created_at,
    }


def _message(row: Row) -> Message:
    return Message(
        id=row["id"],
        recipient=row["recipient_id"],
        campaign=row["campaign"],
        topic=row["topic"],
        email=row["email"],
        external_id=row["external_id"],
        metadata=msgspec.json.decode(row["metadata"]),
        opens=bool(row["opens"]),
        clicks=bool(row["clicks"]),
        created_at=row["created_at"],
        sent_at=row["sent_at"],
    )
