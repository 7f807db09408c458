"""The two hits: the pixel that is opened, the link that is clicked.

A plain ASGI application in front of everything else, since both are asked for far more often than all the rest:
no request object, no response class, no middleware lies between a reader and the answer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from ..domain.events import LONGEST_REFERRER, LONGEST_USER_AGENT, EventType, Hit, cleaned, network_of
from ..domain.links import BadToken, Link, Links
from ..domain.verdicts import PURPOSE_HEADERS, prefetched
from ..storage.database import Refused, Unavailable
from ..workers.stops import StopList
from ..workers.writer import EventWriter
from .pages import Pages
from .prepared import Prepared
from .strangers import Strangers
from .tallies import Tally

log = logging.getLogger(__name__)

PIXEL = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")
"""The smallest transparent GIF that ends as GIF89a says it must: 43 bytes."""

_PATIENCE_S = 0.25
"""How long a click waits for its commit before the reader is led on."""

_COMMON = [(b"referrer-policy", b"no-referrer"), (b"x-content-type-options", b"nosniff")]

_PIXEL_HEADERS = [
    (b"content-type", b"image/gif"),
    (b"content-length", b"43"),
    (b"cache-control", b"no-store, no-cache, max-age=0, private"),
    # Web mail that isolates itself shows pictures of other hosts only with this header.
    (b"cross-origin-resource-policy", b"cross-origin"),
    *_COMMON,
]
_REDIRECT_HEADERS = [
    (b"content-length", b"0"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'"),
    *_COMMON,
]

_PIXELS = {status: Prepared.of(status, _PIXEL_HEADERS, PIXEL) for status in (200, 503)}

_OPENED, _CLICKED = EventType.OPENED.value, EventType.CLICKED.value

_WATCHED = frozenset({b"user-agent", b"referer", *PURPOSE_HEADERS})


class Tracking:
    """Answers the recipient first: the picture shows and the link leads on, whatever happens to us."""

    def __init__(
        self,
        app: ASGIApp,
        links: Links,
        writer: EventWriter,
        stops: StopList,
        strangers: Strangers,
        pages: Pages,
        tally: Tally,
    ) -> None:
        self._app = app
        self._links = links
        self._writer = writer
        self._stops = stops
        self._strangers = strangers
        self._pages = pages
        self._tally = tally

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Not a coroutine but the choice of one: each layer of them costs every reader."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith(("/o/", "/c/")):
                if scope["method"] not in ("GET", "HEAD"):
                    return self._pages.method_not_allowed("GET, HEAD")(scope, receive, send)
                if path[1] == "o":
                    return self._open(path[3:], scope, send)
                return self._click(path[3:], scope, receive, send)
        return self._app(scope, receive, send)

    async def _open(self, name: str, scope: Scope, send: Send) -> None:
        # Which status a token gets must not tell whether it is one of ours.
        status = 503 if self._writer.refusing else 200
        try:
            link = self._links.read_open(name.removesuffix(".gif"))
            if scope["method"] == "GET":
                await self._writer.record(_hit(_OPENED, link, scope))
                status = 200
        except BadToken:
            self._tally.bad_tokens["open"] += 1
        except (Unavailable, Refused):
            status = 503
        except Exception as error:  # noqa: BLE001 - a mail never shows a broken picture
            log.error("an open could not be recorded: %s", type(error).__name__)
            status = 503
        await _PIXELS[status].send(scope, send)

    async def _click(self, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            link = self._links.read_click(token)
        except BadToken:
            self._tally.bad_tokens["click"] += 1
            await self._strangers.bad_link(scope)(scope, receive, send)
            return
        destination = link.destination or ""
        blocked = self._stops.now.refusal(link.account, destination) is not None
        if scope["method"] == "GET":
            try:
                await self._keep(_hit(_CLICKED, link, scope, blocked=blocked))
            except Exception as error:  # noqa: BLE001 - a link leads on, whatever happens to us
                log.error("a click could not be recorded: %s", type(error).__name__)
        if blocked:
            self._tally.blocked_clicks += 1
            await self._pages.blocked()(scope, receive, send)
            return
        location = destination.encode("ascii")
        await Prepared.of(302, [(b"location", location), *_REDIRECT_HEADERS], b"").send(scope, send)

    async def _keep(self, hit: Hit) -> None:
        kept = self._writer.keep(hit)
        patience = asyncio.get_running_loop().call_later(_PATIENCE_S, _let_go, kept)
        try:
            await kept
        finally:
            patience.cancel()


def _let_go(kept: asyncio.Future[None]) -> None:
    if not kept.done():
        kept.set_result(None)


def _hit(event_type: str, link: Link, scope: Scope, *, blocked: bool = False) -> Hit:
    watched = {name: value for name, value in scope["headers"] if name in _WATCHED}
    client = scope.get("client")
    referrer = watched.pop(b"referer", None)
    return Hit(
        type=event_type,
        account=link.account,
        message=link.message,
        occurred_at=time.time_ns() // 1_000_000,
        user_agent=cleaned(watched.pop(b"user-agent", b"").decode("latin-1"), LONGEST_USER_AGENT),
        network=network_of(client[0]) if client else None,
        referrer=cleaned(referrer.decode("latin-1"), LONGEST_REFERRER) if referrer else None,
        prefetch=len(watched) > 0 and prefetched(watched.values()),
        blocked=blocked,
        link=link.number,
        url=link.destination,
    )
