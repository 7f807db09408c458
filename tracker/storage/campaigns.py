"""Campaigns: what mails are sent for, and what is deleted together."""

from ..domain.audit import MakeEntry
from .audit import recorded
from .database import Change, Database, Stale
from .projections import ONE_PROJECTION
from .statements import load_statements

_SQL = load_statements("campaigns")


class Campaigns:
    """Campaigns, which come into being with the first message that names them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete(self, account: bytes, campaign: str, entry: MakeEntry) -> bool:
        """Whether there was such a campaign. Its numbers are gone and its events hidden at once.

        What there is to erase is left to :class:`~.erasures.Erasures`, so that this takes as long for a million events
        as for none. Messages made under its name from now on are of another campaign.
        """
        row = {"account_id": account, "campaign": campaign}
        try:
            await self._database.write(
                *([ONE_PROJECTION] if self._database.whole else []),
                Change(_SQL["delete_campaign"], [row], affects=1),
                Change(_SQL["delete_counts"], [row]),
                Change(_SQL["record_deletion"], [row]),
                recorded(entry(campaign)),
            )
        except Stale:
            return False
        return True
