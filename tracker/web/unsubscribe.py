"""One-click unsubscribe (RFC 8058): a look changes nothing, a POST is enough."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.events import EventType, Method, OptOut
from ..domain.ids import new_id
from ..domain.links import BadToken, Link
from ..storage.database import Refused, Unavailable
from .persons import Persons, looked_at, wish_of

_RETRY_AFTER_S = 30

_ONE_CLICK = re.compile(rb"List-Unsubscribe=One-Click|name=\"?List-Unsubscribe\"?")
_OUR_FORM = re.compile(rb"(?:\A|&)page=1(?:&|\Z)|name=\"page\"")


class Unsubscribe:
    """The page and the POST of ``/u/{token}``; the token alone says who leaves whom."""

    def __init__(self, persons: Persons) -> None:
        self._persons = persons
        self._pages = persons.pages

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/u/{token}", self.answer, methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        """GET and HEAD show the page, POST opts out."""
        try:
            link = self._persons.links.read_unsubscribe(request.path_params["token"])
        except BadToken:
            self._persons.tally.bad_tokens["unsubscribe"] += 1
            return self._persons.strangers.bad_link(request.scope)
        if request.method == "POST":
            return await self._opt_out(link, request)
        return self._pages.unsubscribe(await self._persons.parties(link))

    async def _opt_out(self, link: Link, request: Request) -> Response:
        method = method_of(await looked_at(request))
        try:
            await self._persons.must_be_known(link)
            await self._persons.writer.record(_opt_out(link, method, request))
        except (Unavailable, Refused):
            return self._pages.unavailable(_RETRY_AFTER_S)
        # The day is that of the first opt-out, which this one may only have repeated.
        parties, undo = await self._persons.parties(link), await self._persons.may_undo(link)
        token = self._persons.links.sign_preferences(link.account, link.message, link.address_key or b"")
        return self._pages.unsubscribed(parties, preferences=f"/p/{token}", undo=undo)


def method_of(body: bytes) -> Method:
    """How a person opted out, by what their POST carries: our page's form says so, all else is one click."""
    if not _ONE_CLICK.search(body) and _OUR_FORM.search(body):
        return Method.PAGE
    return Method.ONE_CLICK


def _opt_out(link: Link, method: Method, request: Request) -> OptOut:
    hit = wish_of(EventType.UNSUBSCRIBED, link, method, request)
    return OptOut(hit=hit, address_key=link.address_key or b"", suppression=new_id())
