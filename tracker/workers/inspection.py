"""Reads the files from end to end, since a disk that damages them says nothing."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Self

from ..domain.addresses import address_key, canonical
from ..domain.ids import written
from ..storage.accounts import Accounts
from ..storage.database import Database, reason, unforeseen

log = logging.getLogger(__name__)

_MOST_SHOWN = 5


class Inspection:
    """Of databases by the names of their files: soon after the start, and then daily."""

    def __init__(
        self,
        databases: Mapping[str, Database],
        accounts: Accounts,
        *,
        first_after_s: float = 10.0,
        interval_s: float = 86_400.0,
    ) -> None:
        self._databases = databases
        self._accounts = accounts
        self._first_after_s = first_after_s
        self._interval_s = interval_s
        self.damaged = False
        """Whether the last inspection found anything; what it found stands in the log."""
        self.inspections = 0
        """How many came to their end."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="inspection")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def turn(self) -> None:
        """Inspect one file after the other."""
        damages = [f"{name}: {line}" for name, database in self._databases.items() for line in await database.inspect()]
        if not damages:
            damages = [f"account {written(account)} does not find its addresses" for account in await self._lost()]
        if damages:
            log.critical("the database is damaged, restore a backup: %s", "; ".join(damages[:_MOST_SHOWN]))
        self.damaged = bool(damages)
        self.inspections += 1

    async def _lost(self) -> list[bytes]:
        """Accounts whose pepper gives their addresses other keys: no check would find any of their opt-outs."""
        return [
            sample.account
            for sample in await self._accounts.samples()
            if address_key(canonical(sample.address), sample.pepper) != sample.address_key
        ]

    async def _run(self) -> None:
        pause_s = self._first_after_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._interval_s
            try:
                await self.turn()
            except Exception as error:
                log.warning("the files are not inspected: %s", reason(error), exc_info=unforeseen(error))
