"""The preference page: a person sees what stands, and takes an opt-out back for a day."""

import re
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.events import EventType, Method, Undo
from ..domain.links import BadToken, Link, Links
from ..storage.database import Refused, Unavailable
from ..storage.messages import Messages
from ..storage.opt_outs import OptedOut, OptOuts
from ..workers.directory import Directory
from ..workers.writer import EventWriter
from .pages import Pages, Parties
from .strangers import Strangers
from .tallies import Tally
from .unsubscribe import looked_at, parties_of, wish_of

_UNDO_FOR_MS = 24 * 60 * 60 * 1000
_RETRY_AFTER_S = 30

_UNDO = re.compile(rb"(?:\A|&)action=undo(?:&|\Z)")


class Preferences:
    """``/p/{token}``: a look changes nothing, and a POST only what its form says."""

    def __init__(
        self,
        links: Links,
        writer: EventWriter,
        directory: Directory,
        messages: Messages,
        opt_outs: OptOuts,
        strangers: Strangers,
        pages: Pages,
        tally: Tally,
    ) -> None:
        self._links = links
        self._writer = writer
        self._directory = directory
        self._messages = messages
        self._opt_outs = opt_outs
        self._strangers = strangers
        self._pages = pages
        self._tally = tally

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/p/{token}", self.answer, methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        """GET and HEAD show what stands, and so does a POST of another form; POST with ``action=undo`` undoes."""
        try:
            link = self._links.read_preferences(request.path_params["token"])
        except BadToken:
            self._tally.bad_tokens["preferences"] += 1
            return self._strangers.bad_link(request.scope)
        undoing = request.method == "POST" and _UNDO.search(await looked_at(request)) is not None
        try:
            if await self._directory.find(link.account) is None:
                return self._pages.unreachable(_RETRY_AFTER_S, undoing=undoing)
            return await (self._undo(link, request) if undoing else self._show(link))
        except (Unavailable, Refused):
            return self._pages.unreachable(_RETRY_AFTER_S, undoing=undoing)

    async def _undo(self, link: Link, request: Request) -> Response:
        standing, now = await self._standing(link), time.time_ns() // 1_000_000
        if standing is None or standing.own is None:
            return await self._show(link, nothing_to_undo=True)
        if undo_until(standing, now) is None:
            return self._pages.too_late(await self._parties(link), since=standing.since)
        hit = wish_of(EventType.RESUBSCRIBED, link, Method.UNDO, request)
        await self._writer.record(Undo(hit=hit, suppression=standing.own))
        # Another opt-out may stand: one a customer keeps, or one that came at this very moment.
        if await self._standing(link) is not None:
            return await self._show(link)
        return self._pages.undone(await self._parties(link))

    async def _show(self, link: Link, *, nothing_to_undo: bool = False) -> Response:
        standing, parties = await self._standing(link), await self._parties(link)
        if standing is None:
            token = self._links.sign_unsubscribe(link.account, link.message, link.address_key or b"")
            return self._pages.subscribed(parties, unsubscribe=f"/u/{token}", nothing_to_undo=nothing_to_undo)
        until = undo_until(standing, time.time_ns() // 1_000_000)
        return self._pages.opted_out(parties, since=standing.since, undo_until=until, nothing_to_undo=nothing_to_undo)

    async def _standing(self, link: Link) -> OptedOut | None:
        return await self._opt_outs.standing(link.account, link.address_key or b"")

    async def _parties(self, link: Link) -> Parties:
        return await parties_of(link, self._directory, self._messages)


def undo_until(standing: OptedOut, now: int) -> int | None:
    """Until when a person may take their opt-out back; None when they no longer may, or when it is not theirs."""
    if standing.own_since is None or now - standing.own_since >= _UNDO_FOR_MS:
        return None
    return standing.own_since + _UNDO_FOR_MS
