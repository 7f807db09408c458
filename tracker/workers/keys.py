"""Rereads the file of the signing keys, so that a key takes its turn without a restart."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import Self

from ..domain.keys import BadKeyring, Keyring
from ..storage.database import reason
from ..storage.fingerprints import Fingerprints
from ..storage.installation import ring_of
from ..storage.keyfile import read_key_file

log = logging.getLogger(__name__)


class KeyFileReader:
    """Keeps a ring as its file says, which is read every ``interval_s``; what cannot be read changes nothing.

    ``signing`` is the number of the key that an operator wants to sign, whatever the file says.
    """

    def __init__(
        self,
        keyring: Keyring,
        path: Path,
        fingerprints: Fingerprints,
        *,
        signing: int | None = None,
        interval_s: float = 1.0,
    ) -> None:
        self._keyring = keyring
        self._path = path
        self._fingerprints = fingerprints
        self._signing = signing
        self._interval_s = interval_s
        self._recorded = keyring.fingerprints()
        self._failing = False
        self.read_at = time.time()
        """When the file was last read, in Unix seconds."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="key file")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def turn(self) -> None:
        """Read the file; what goes wrong is logged once, until a turn goes well."""
        try:
            await self._reread()
        except Exception as error:  # noqa: BLE001 - a worker's turn must never end the worker
            if not self._failing:
                log.error("the signing keys are kept as they were: %s", reason(error))
            self._failing = True
        else:
            self._failing = False
            self.read_at = time.time()

    async def _reread(self) -> None:
        keys = await asyncio.to_thread(read_key_file, self._path)
        if keys is None:
            raise BadKeyring(f"{self._path} is missing: put it back, the next start needs it")
        self._keyring.take(ring_of(keys, self._signing))
        if (fingerprints := self._keyring.fingerprints()) != self._recorded:
            # After the key is there to read: links of other processes must not wait for the database.
            await self._fingerprints.check(self._keyring)
            self._recorded = fingerprints

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.turn()
