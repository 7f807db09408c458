"""The key an account signs its own click links with, so that its mailer needs no call per mail."""

from base64 import urlsafe_b64encode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.ids import written
from ..domain.links import Links
from .auth import Guard
from .parameters import single_parameters


class LinkKey(msgspec.Struct, frozen=True):
    """All that making click links takes; ``docs/tokens.md`` says how. ``key`` is base64url without padding."""

    key_id: int
    account: str
    base_url: str
    key: str


class LinkKeyApi:
    """``/v1/link-key``."""

    def __init__(self, guard: Guard, links: Links, base_url: str) -> None:
        self._guard = guard
        self._links = links
        self._base_url = base_url

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/v1/link-key", self.read, methods=["GET"])]

    async def read(self, request: Request) -> Response:
        """The click key that signs now; it can sign for no other account, and nothing but clicks."""
        account = await self._guard.admit(request, "messages")
        single_parameters(request.query_params)
        own = self._links.click_key(account.id)
        key = urlsafe_b64encode(own.key).rstrip(b"=").decode("ascii")
        answer = LinkKey(own.number, written(account.id), self._base_url, key)
        return Response(msgspec.json.encode(answer), media_type="application/json")
