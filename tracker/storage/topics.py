"""Topics: what the mails of an account are about, so that somebody may want some of them."""

import msgspec

from ..domain.ids import new_id
from .database import Database, Row
from .statements import load_statements

_SQL = load_statements("topics")


class Topic(msgspec.Struct, frozen=True):
    """A topic as it is listed; ``created_at`` is Unix milliseconds."""

    id: bytes
    name: str
    created_at: int
    messages: int


class Topics:
    """Topics, which come into being with the first message that names them, or before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, account: bytes, *, limit: int, beyond: bytes | None) -> list[Topic]:
        """The next topics in the order in which they were made, from just beyond the one of that id."""
        rows = await self._database.fetch(_SQL["topics"], account_id=account, beyond=beyond or b"", limit=limit)
        return [_topic(row) for row in rows]

    async def find(self, account: bytes, name: str) -> Topic | None:
        """The topic of that name."""
        rows = await self._database.fetch(_SQL["topic"], account_id=account, name=name)
        return _topic(rows[0]) if rows else None

    async def make(self, account: bytes, name: str, created_at: int) -> bool:
        """Whether the topic is new: one that is there already stays as it is."""
        made = await self._database.change(
            _SQL["insert_topic"], account_id=account, name=name, id=new_id(), created_at=created_at
        )
        return bool(made)

    async def delete(self, account: bytes, name: str) -> bool:
        """Whether there was such a topic. Messages, events and opt-outs keep its name."""
        return bool(await self._database.change(_SQL["delete_topic"], account_id=account, name=name))


def _topic(row: Row) -> Topic:
    return Topic(row["id"], row["name"], row["created_at"], row["messages"])
