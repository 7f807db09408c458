"""The accounts in memory, for the answers that must not depend on the main database."""

from ..storage.accounts import Account, Accounts
from .rereading import Rereading


class Directory(Rereading):
    """Loaded at the start, reread within a second of a change; its last state holds while it cannot be read."""

    def __init__(self, accounts: Accounts, *, interval_s: float = 0.5) -> None:
        super().__init__("the accounts", interval_s)
        self._accounts = accounts
        self._version = -1
        self._known: dict[bytes, Account] = {}

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

    @property
    def size(self) -> int:
        """How many accounts there are."""
        return len(self._known)

    async def refresh(self) -> None:
        """Read all accounts again if one has changed."""
        version = await self._accounts.directory_version()
        if version != self._version:
            self._known = {account.id: account for account in await self._accounts.all()}
            self._version = version
