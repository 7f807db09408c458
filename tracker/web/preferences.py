"""The preference page: a person sees what stands, and takes an opt-out back for a day."""

import re
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.events import EventType, Method, Undo
from ..domain.links import BadToken, Link
from ..storage.database import Refused, Unavailable
from .persons import Persons, looked_at, undo_until, wish_of

_RETRY_AFTER_S = 30

_UNDO = re.compile(rb"(?:\A|&)action=undo(?:&|\Z)")


class Preferences:
    """``/p/{token}``: a look changes nothing, and a POST only what its form says."""

    def __init__(self, persons: Persons) -> None:
        self._persons = persons
        self._pages = persons.pages

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/p/{token}", self.answer, methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        """GET and HEAD show what stands, and so does a POST of another form; POST with ``action=undo`` undoes."""
        try:
            link = self._persons.links.read_preferences(request.path_params["token"])
        except BadToken:
            self._persons.tally.bad_tokens["preferences"] += 1
            return self._persons.strangers.bad_link(request.scope)
        undoing = request.method == "POST" and _UNDO.search(await looked_at(request)) is not None
        try:
            await self._persons.must_be_known(link)
            return await (self._undo(link, request) if undoing else self._show(link))
        except (Unavailable, Refused):
            return self._pages.unreachable(_RETRY_AFTER_S, undoing=undoing)

    async def _undo(self, link: Link, request: Request) -> Response:
        stands, now = await self._persons.stands(link), time.time_ns() // 1_000_000
        if stands.opt_out is None or stands.opt_out.own is None:
            return await self._show(link, nothing_to_undo=True)
        if undo_until(stands, now) is None:
            return self._pages.too_late(await self._persons.parties(link), since=stands.opt_out.since)
        hit = wish_of(EventType.RESUBSCRIBED, link, Method.UNDO, request)
        await self._persons.writer.record(Undo(hit=hit, suppression=stands.opt_out.own))
        stands = await self._persons.stands(link)
        # Another opt-out may stand: one a customer keeps, or one that came at this very moment.
        if stands.opt_out is not None:
            return await self._show(link)
        return self._pages.undone(await self._persons.parties(link), stopped=stands.otherwise)

    async def _show(self, link: Link, *, nothing_to_undo: bool = False) -> Response:
        stands, parties = await self._persons.stands(link), await self._persons.parties(link)
        if stands.opt_out is None:
            token = self._persons.links.sign_unsubscribe(link.account, link.message, link.address_key or b"")
            return self._pages.subscribed(
                parties, unsubscribe=f"/u/{token}", stopped=stands.otherwise, nothing_to_undo=nothing_to_undo
            )
        until = undo_until(stands, time.time_ns() // 1_000_000)
        since = stands.opt_out.since
        return self._pages.opted_out(parties, since=since, undo_until=until, nothing_to_undo=nothing_to_undo)
