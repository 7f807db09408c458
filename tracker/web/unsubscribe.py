"""One-click unsubscribe (RFC 8058): a look changes nothing, a POST is enough."""

import asyncio
import contextlib
import re
import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.addresses import mask
from ..domain.events import LONGEST_USER_AGENT, EventType, Hit, Method, OptOut, cleaned, network_of
from ..domain.ids import new_id
from ..domain.links import BadToken, Link, Links
from ..storage.database import Refused, Unavailable
from ..storage.messages import Messages
from ..workers.directory import Directory
from ..workers.writer import EventWriter
from .pages import Pages, Parties
from .strangers import Strangers
from .tallies import Tally

_LOOKED_AT_BYTES = 8 * 1024
_LOOKED_AT_S = 0.25
_NAMES_S = 0.1
_RETRY_AFTER_S = 30

_ONE_CLICK = re.compile(rb"List-Unsubscribe=One-Click|name=\"?List-Unsubscribe\"?")
_OUR_FORM = re.compile(rb"(?:\A|&)page=1(?:&|\Z)|name=\"page\"")


class Unsubscribe:
    """The page and the POST of ``/u/{token}``; the token alone says who leaves whom."""

    def __init__(
        self,
        links: Links,
        writer: EventWriter,
        directory: Directory,
        messages: Messages,
        strangers: Strangers,
        pages: Pages,
        tally: Tally,
    ) -> None:
        self._links = links
        self._writer = writer
        self._directory = directory
        self._messages = messages
        self._strangers = strangers
        self._pages = pages
        self._tally = tally

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/u/{token}", self.answer, methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        """GET and HEAD show the page, POST opts out."""
        try:
            link = self._links.read_unsubscribe(request.path_params["token"])
        except BadToken:
            self._tally.bad_tokens["unsubscribe"] += 1
            return self._strangers.bad_link(request.scope)
        if request.method == "POST":
            return await self._opt_out(link, request)
        parties = await parties_of(link, self._directory, self._messages)
        return self._pages.unsubscribe(sender=parties.sender, address=parties.address)

    async def _opt_out(self, link: Link, request: Request) -> Response:
        method = method_of(await looked_at(request))
        try:
            if await self._directory.find(link.account) is None:
                return self._pages.unavailable(_RETRY_AFTER_S)
            await self._writer.record(_opt_out(link, method, request))
        except (Unavailable, Refused):
            return self._pages.unavailable(_RETRY_AFTER_S)
        parties = await parties_of(link, self._directory, self._messages)
        preferences = f"/p/{self._links.sign_preferences(link.account, link.message, link.address_key or b'')}"
        return self._pages.unsubscribed(sender=parties.sender, address=parties.address, preferences=preferences)


async def parties_of(link: Link, directory: Directory, messages: Messages) -> Parties:
    """Who sends and who receives, if that can be read in a moment: a page stands without."""
    sender = address = None
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(_NAMES_S):
            account = await directory.find(link.account)
            sender = account.name if account else None
            message = await messages.find(link.account, link.message)
            address = mask(message.email) if message and message.email else None
    return Parties(sender=sender, address=address)


def method_of(body: bytes) -> Method:
    """How a person opted out, by what their POST carries: our page's form says so, all else is one click."""
    if not _ONE_CLICK.search(body) and _OUR_FORM.search(body):
        return Method.PAGE
    return Method.ONE_CLICK


async def looked_at(request: Request) -> bytes:
    """The first 8 KiB of the body, as far as they are there soon: opting out never depends on them."""
    seen = bytearray()
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_LOOKED_AT_S):
            async for chunk in request.stream():
                seen += chunk
                if len(seen) >= _LOOKED_AT_BYTES:
                    break
    return bytes(seen[:_LOOKED_AT_BYTES])


def _opt_out(link: Link, method: Method, request: Request) -> OptOut:
    hit = wish_of(EventType.UNSUBSCRIBED, link, method, request)
    return OptOut(hit=hit, address_key=link.address_key or b"", suppression=new_id())


def wish_of(event: EventType, link: Link, method: Method, request: Request) -> Hit:
    """What a person asks for with this request."""
    return Hit(
        type=event,
        account=link.account,
        message=link.message,
        occurred_at=time.time_ns() // 1_000_000,
        user_agent=cleaned(request.headers.get("user-agent", ""), LONGEST_USER_AGENT),
        network=network_of(request.client.host) if request.client else None,
        method=method,
    )
