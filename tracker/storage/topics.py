"""Topics: what the mails of an account are about, so that somebody may want some of them."""

import msgspec

from ..domain.audit import MakeEntry
from ..domain.ids import new_id
from .audit import recorded
from .database import Change, Database, Row, Stale
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

    async def make(self, account: bytes, name: str, created_at: int, entry: MakeEntry) -> bool:
        """Whether the topic is new: one that is there already stays as it is."""
        row = {"account_id": account, "name": name, "id": new_id(), "created_at": created_at}
        return await self._change("insert_topic", row, entry)

    async def delete(self, account: bytes, name: str, entry: MakeEntry) -> bool:
        """Whether there was such a topic. Messages, events and opt-outs keep its name."""
        return await self._change("delete_topic", {"account_id": account, "name": name}, entry)

    async def _change(self, statement: str, row: dict[str, object], entry: MakeEntry) -> bool:
        try:
            await self._database.write(Change(_SQL[statement], [row], affects=1), recorded(entry(str(row["name"]))))
        except Stale:
            return False
        return True


def _topic(row: Row) -> Topic:
    return Topic(row["id"], row["name"], row["created_at"], row["messages"])
