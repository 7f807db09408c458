"""The sending company's own program: it makes mails, asks whom it may write to, and follows the events."""

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from ..domain.events import Event
from .readers import Reader
from .wire import Wire

_CAMPAIGN = "newsletter"
# The server waits up to a second itself before it says that it is behind.
_MOST_ASKED = 15


class Checked(msgspec.Struct, frozen=True):
    """Whether somebody may be written to, as ``/v1/suppressions/check`` answers it."""

    recipient: str
    allowed: bool
    reason: str | None
    scope: str | None
    since: str | None


class _Checks(msgspec.Struct):
    data: Sequence[Checked]


class _Feed(msgspec.Struct):
    data: Sequence[Event]


class Sender:
    """Speaks to ``/v1`` with an API key. Raises ``httpx.HTTPError``, and ``msgspec.DecodeError`` for odd answers."""

    def __init__(self, wire: Wire, api_key: str) -> None:
        self._wire = wire
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}

    async def make(self, reader: Reader, html: str) -> httpx.Response:
        """Ask for the mail of one reader."""
        message = {"campaign": _CAMPAIGN, "recipient": {"email": reader.email}, "html": html}
        return await self._post("/v1/messages", reader.email, message)

    async def check(self, readers: Sequence[Reader]) -> Sequence[Checked]:
        """Ask which of them may be written to."""
        wanted = [reader.email for reader in readers]
        sent = wanted[0] if len(wanted) == 1 else f"{len(wanted)} addresses"
        answer = await self._post("/v1/suppressions/check", sent, {"recipients": wanted})
        return msgspec.json.decode(answer.content, type=_Checks).data

    async def follow(self) -> Sequence[Event]:
        """All events so far, once the server has seen to everything it acknowledged."""
        for _ in range(_MOST_ASKED):
            answer = await self._wire.send("GET", "/v1/events/feed?after=0", "", headers=self._headers)
            if "tracker-lag" not in answer.headers:
                break
        return msgspec.json.decode(answer.content, type=_Feed).data

    async def _post(self, path: str, sent: str, content: Any) -> httpx.Response:
        body = msgspec.json.encode(content)
        return await self._wire.send("POST", path, sent, headers=self._headers, content=body)
