"""The accounts in memory, for the answers that must not depend on the main database."""

import asyncio
import contextlib
import logging
from typing import Self

from ..storage.accounts import Account, Accounts
from ..storage.database import reason, unforeseen

log = logging.getLogger(__name__)


class Directory:
    """Loaded at the start, reread within a second of a change; its last state holds while it cannot be read."""

    def __init__(self, accounts: Accounts, *, interval_s: float = 0.5) -> None:
        self._accounts = accounts
        self._interval_s = interval_s
        self._version = -1
        self._known: dict[bytes, Account] = {}

    async def __aenter__(self) -> Self:
        await self.refresh()
        self._task = asyncio.create_task(self._run(), name="directory")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def find(self, account: bytes) -> Account | None:
        """The account; a miss asks the database at once. None when the database has never heard of it.

        Raises ``Unavailable`` when it is not known here and the database cannot be asked.
        """
        known = self._known.get(account)
        if known is None:
            known = await self._accounts.find(account)
            if known is not None:
                self._known[account] = known
        return known

    async def refresh(self) -> None:
        """Read all accounts again if one has changed."""
        version = await self._accounts.directory_version()
        if version != self._version:
            self._known = {account.id: account for account in await self._accounts.all()}
            self._version = version

    async def _run(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.refresh()
                failing = False
            except Exception as error:
                if not failing:
                    log.warning(
                        "the accounts in memory are kept as they were: %s", reason(error), exc_info=unforeseen(error)
                    )
                failing = True
