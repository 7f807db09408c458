"""Messages: one mail to one recipient each, as it was made."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..domain.ids import new_id
from ..domain.receipts import Receipt
from .database import Change, Database, Row, Stale
from .receipts import kept
from .statements import load_statements

_SQL = load_statements("messages")

_DAY_MS = 24 * 60 * 60 * 1000


class TooMany(Exception):
    """More messages than the account may make today; none was made. ``left`` says how many it still may."""

    def __init__(self, left: int) -> None:
        super().__init__(f"{left} messages are left today")
        self.left = left


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


class Context(NamedTuple):
    """What a message was made for. ``generation``: how many campaigns of that name had been deleted by then.

    ``deleted``: whether its own was, too.
    """

    campaign: str
    topic: str | None
    generation: int = 0
    deleted: bool = False


class Messages:
    """Messages with their recipients and campaigns, which come into being with the first message that names them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, *made: NewMessage, most_a_day: int | None = None, receipt: Receipt | None = None
    ) -> dict[bytes, bytes]:
        """Store messages of one account and a receipt, all of them or none, and give each one's recipient by message.

        Raises :class:`TooMany` when the account would have made more than ``most_a_day`` on a day in UTC, and ``Stale``
        when the key of the receipt was used meanwhile.
        """
        changes = [*(await asyncio.to_thread(_changes, made) if made else ()), *kept(receipt)]
        if made and most_a_day is not None:
            await self._write_within(most_a_day, made, changes)
        elif changes:
            await self._database.write(*changes)
        return await self.recipients_of(made[0].account, [new.id for new in made]) if made else {}

    async def _write_within(self, most: int, made: Sequence[NewMessage], changes: Sequence[Change]) -> None:
        today = {"account_id": made[0].account, "day": made[0].created_at // _DAY_MS}
        taking = Change(_SQL["take_allowance"], [{**today, "messages": len(made), "most": most}], affects=1)
        try:
            await self._database.write(Change(_SQL["forget_allowances"], [today]), taking, *changes)
        except Stale:
            rows = await self._database.fetch(_SQL["allowance_taken"], **today)
            left = most - (rows[0]["messages"] if rows else 0)
            if len(made) <= left:
                raise
            raise TooMany(max(left, 0)) from None

    async def mark_sent(self, account: bytes, sent: Mapping[bytes, int], receipt: Receipt | None = None) -> None:
        """Keep when messages of this account were sent (Unix milliseconds), and a receipt. Raises ``Stale``."""
        rows = [{"account_id": account, "id": message, "sent_at": at} for message, at in sent.items()]
        if rows or receipt is not None:
            await self._database.write(Change(_SQL["mark_sent"], rows), *kept(receipt))

    async def recipients_of(self, account: bytes, messages: Sequence[bytes]) -> dict[bytes, bytes]:
        """The recipient of each of these messages that exist in this account."""
        rows = await self._database.fetch(_SQL["recipients_of"], account_id=account, ids=messages)
        return {row["id"]: row["recipient_id"] for row in rows}

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

    async def contexts(self, account: bytes, messages: Sequence[bytes]) -> dict[bytes, Context]:
        """What those of these messages that exist in this account were made for."""
        rows = await self._database.fetch(_SQL["messages"], account_id=account, ids=list(messages))
        return {
            row["id"]: Context(row["campaign"], row["topic"], row["generation"], bool(row["deleted"])) for row in rows
        }


def _changes(made: Sequence[NewMessage]) -> list[Change]:
    """Recipients, campaigns and topics before the messages that name them."""
    messages = [_message_row(new) for new in made]
    return [
        Change(_SQL["upsert_campaign"], _counted(made, "campaign")),
        Change(_SQL["upsert_topic"], _counted(made, "topic")),
        Change(_SQL["upsert_recipient"], _recipient_rows(made)),
        Change(_SQL["insert_message"], messages, affects=len(messages)),
    ]


def _counted(made: Iterable[NewMessage], kind: str) -> list[dict[str, object]]:
    """A row for each campaign, or topic, with the number of its messages."""
    first: dict[str, NewMessage] = {}
    totals: Counter[str] = Counter()
    for new in made:
        if (name := getattr(new, kind)) is not None:
            first.setdefault(name, new)
            totals[name] += 1
    return [
        {
            "account_id": new.account,
            kind: name,
            f"new_{kind}_id": new_id(),
            "created_at": new.created_at,
            "messages": totals[name],
        }
        for name, new in first.items()
    ]


def _recipient_rows(made: Iterable[NewMessage]) -> list[dict[str, object]]:
    """A row for each address: one statement may not meet the same row twice, and of two external ids the last holds."""
    rows: dict[str, dict[str, object]] = {}
    for new in made:
        known = rows.get(new.address)
        if known is None:
            rows[new.address] = _recipient_row(new)
        elif new.external_id is not None:
            known["external_id"] = new.external_id
    return list(rows.values())


def _recipient_row(new: NewMessage) -> dict[str, object]:
    return {
        "account_id": new.account,
        "new_recipient_id": new_id(),
        "address": new.address,
        "address_key": new.address_key,
        "external_id": new.external_id,
        "created_at": new.created_at,
    }


def _message_row(new: NewMessage) -> dict[str, object]:
    return {
        "account_id": new.account,
        "id": new.id,
        "address": new.address,
        "campaign": new.campaign,
        "topic": new.topic,
        "email": new.email,
        "external_id": new.external_id,
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
