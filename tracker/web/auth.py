"""Who asks: the API key of a request, and what it may do."""

import re

from starlette.requests import Request

from ..storage.accounts import Account
from ..storage.api_keys import Access, ApiKeys
from ..workers.directory import Directory
from .problems import Problem
from .requests import note_account

# The secret may hold further underscores: only the first two separate.
_KEY = re.compile(r"trk_([0-9a-f]{16})_([A-Za-z0-9_-]{20,100})")

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tracker"'}


class Guard:
    """Lets a request in by its ``Authorization: Bearer`` key, which is looked up at every call."""

    def __init__(self, keys: ApiKeys, directory: Directory) -> None:
        self._keys = keys
        self._directory = directory

    async def admit(self, request: Request, scope: str) -> tuple[Account, Access]:
        """The account that asks, and what its key opens.

        Raises ``Problem``: 401 without a valid key, 403 when it lacks ``scope``.
        """
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Problem("unauthorized", "Send an API key as Authorization: Bearer trk_...", headers=_CHALLENGE)
        match = _KEY.fullmatch(credentials.strip())
        access = await self._keys.open_with(bytes.fromhex(match[1]), match[2]) if match else None
        account = await self._directory.find(access.account) if access else None
        if access is None or account is None:
            raise Problem("unauthorized", "This API key is unknown or revoked.", headers=_CHALLENGE)
        note_account(account.id)
        if scope not in access.scopes:
            raise Problem("missing-scope", f"This API key lacks the scope {scope}.", scope=scope)
        return account, access
