"""Who asks: the API key of a request, and what it may do."""

import re

from starlette.requests import Request

from ..storage.accounts import Account
from ..storage.api_keys import Access, ApiKeys
from ..workers.directory import Directory
from .problems import Problem
from .requests import note_account
from .strangers import Strangers

# The secret may hold further underscores: only the first two separate.
_KEY = re.compile(r"trk_([0-9a-f]{16})_([A-Za-z0-9_-]{20,100})")

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tracker"'}


class Guard:
    """Lets a request in by its ``Authorization: Bearer`` key, which is looked up at every call."""

    def __init__(self, keys: ApiKeys, directory: Directory, strangers: Strangers) -> None:
        self._keys = keys
        self._directory = directory
        self._strangers = strangers

    async def admit(self, request: Request) -> tuple[Account, Access]:
        """The account that asks, and what its key opens.

        Raises ``Problem``: 401 without a valid key, 429 when too many wrong ones came from the same network. A valid
        one is let in whatever its neighbours do: its 256 random bits are not guessed.
        """
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Problem("unauthorized", "Send an API key as Authorization: Bearer trk_...", headers=_CHALLENGE)
        match = _KEY.fullmatch(credentials.strip())
        access = await self._keys.open_with(bytes.fromhex(match[1]), match[2]) if match else None
        account = await self._directory.find(access.account) if access else None
        if access is None or account is None:
            raise self._refusal(request)
        note_account(account.id)
        return account, access

    def _refusal(self, request: Request) -> Problem:
        wait_s = self._strangers.wait_s(request.scope)
        if wait_s is None:
            return Problem("unauthorized", "This API key is unknown or revoked.", headers=_CHALLENGE)
        return Problem(
            "too-many-failures",
            f"Too many wrong API keys came from this network: wrong ones are answered again in {wait_s:,} s.",
            headers={"Retry-After": str(wait_s)},
        )


def require(access: Access, scope: str) -> None:
    """Raises ``Problem`` 403 when the key lacks the scope."""
    if scope not in access.scopes:
        raise Problem("missing-scope", f"This API key lacks the scope {scope}.", scope=scope)
