"""The keys an installation has signed with, as far as the database may know them."""

import time
from collections.abc import Mapping

from ..domain.keys import BadKeyring, Keyring
from .database import Change, Database
from .statements import load_statements

_SQL = load_statements("accounts")


class Fingerprints:
    """A key that once signed must stay: links in mails already sent need it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, keyring: Keyring) -> None:
        """See that the ring holds every key the database has seen, and record those it has not.

        Raises ``BadKeyring`` with the number of a key that is missing or another.
        """
        seen = {row["number"]: row["fingerprint"] for row in await self._database.fetch(_SQL["fingerprints"])}
        refuse_other_keys(keyring, seen)
        await self._record(
            {number: fingerprint for number, fingerprint in keyring.fingerprints().items() if number not in seen}
        )

    async def _record(self, fingerprints: dict[int, bytes]) -> None:
        seen_at = time.time_ns() // 1_000_000
        rows = [
            {"number": number, "fingerprint": fingerprint, "first_seen_at": seen_at}
            for number, fingerprint in fingerprints.items()
        ]
        await self._database.write(Change(_SQL["insert_fingerprint"], rows))


def refuse_other_keys(keyring: Keyring, seen: Mapping[int, bytes]) -> None:
    """Raises ``BadKeyring`` with the number of a key that is missing in the ring or another; ``seen``: fingerprints."""
    held = keyring.fingerprints()
    for number, fingerprint in seen.items():
        if number not in held:
            raise BadKeyring(f"signing key {number} is missing: links in mails already sent need it, put it back")
        if held[number] != fingerprint:
            raise BadKeyring(f"signing key {number} is not the one that signed before: put the old one back")
