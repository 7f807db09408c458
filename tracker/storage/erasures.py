"""Erasing what a deleted campaign left behind, a slice at a time, by whoever gives sequence numbers."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .database import Change, Database, Row
from .statements import load_statements

_SQL = load_statements("erasures")
_NUMBERS = load_statements("projections")


class Deletion(NamedTuple):
    """A campaign whose events of earlier generations than this one are being erased."""

    account: bytes
    campaign: str
    generation: int


class Erasures:
    """What is to be erased stands in the database, so that another process goes on where one was killed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def next(self, after: Deletion | None = None) -> Deletion | None:
        """The next campaign that has to be erased, from one to the other and round again."""
        beyond = (after.account, after.campaign) if after is not None else (b"", "")
        rows = await self._database.fetch(_SQL["next_deletion"], account=beyond[0], campaign=beyond[1])
        if rows:
            return Deletion(rows[0]["account_id"], rows[0]["campaign"], rows[0]["generation"])
        return await self.next() if after is not None else None

    async def erase(self, deletion: Deletion, *, limit: int) -> int:
        """Erase up to ``limit`` events in one transaction, and give their number.

        Each leaves the number it had in the feed, and gets the next one for being erased. Raises ``Stale`` with nothing
        changed when somebody else has given numbers of this account meanwhile.
        """
        events = await self._database.fetch(_SQL["events_left"], **_named(deletion), limit=limit)
        if events:
            await self._database.write(*await self._changes(deletion.account, events))
        return len(events)

    async def end(self, deletion: Deletion) -> bool:
        """Whether that was the last of it: to be called when there are no events left.

        The log of the file still holds the rows until it can be emptied, which whoever reads at this moment may delay.
        """
        await self._database.write(Change(_SQL["delete_refused"], [_named(deletion)]))
        if not await self._database.scrub():
            return False
        await self._database.write(Change(_SQL["end_deletion"], [_named(deletion)]))
        return True

    async def _changes(self, account: bytes, events: Sequence[Row]) -> list[Change]:
        rows = await self._database.fetch(_NUMBERS["sequences"], account_ids=[account])
        last = int(rows[0]["sequence"])
        advanced = {"account_id": account, "old": last, "new": last + len(events)}
        entries = [(event["sequence"], event["id"]) for event in events]
        entries += [(last + place, event["id"]) for place, event in enumerate(events, 1)]
        messages = {event["message_id"] for event in events}
        return [
            Change(_NUMBERS["advance_sequence"], [advanced], affects=1),
            Change(_SQL["delete_event"], _of(account, "id", (event["id"] for event in events)), affects=len(events)),
            Change(_SQL["insert_entry"], [(account, *entry) for entry in entries]),
            # Their messages are all of the deleted campaign: nothing of them is ever counted again.
            Change(_SQL["delete_message_counts"], _of(account, "message_id", messages)),
        ]


def _named(deletion: Deletion) -> dict[str, object]:
    return {"account_id": deletion.account, "campaign": deletion.campaign, "generation": deletion.generation}


def _of(account: bytes, name: str, values: Iterable[bytes]) -> list[dict[str, object]]:
    return [{"account_id": account, name: value} for value in values]
