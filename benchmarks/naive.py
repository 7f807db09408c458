"""The design that comes to mind first: Starlette, aiosqlite, and a commit for each request before it is answered.

    python -m benchmarks.naive PORT

It is as durable as Tracker and does less: it stores the token as it stands, unread, in a table without an index, and
nothing follows from it.
"""

import contextlib
import sys
import time
from collections.abc import AsyncIterator

import aiosqlite
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tracker.web.tracking import PIXEL

from .bare import DESTINATION, serve

_TABLE = "create table events (token text, type text, occurred_at integer, user_agent text, network text)"
_INSERT = "insert into events values (?, ?, ?, ?, ?)"
_HEADERS = {
    "Cache-Control": "no-store, no-cache, max-age=0, private",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def application() -> Starlette:
    """Its two routes, over one connection that all requests share."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with aiosqlite.connect("naive.db") as database:
            await database.execute("pragma journal_mode = wal")
            await database.execute("pragma synchronous = full")
            await database.execute(_TABLE)
            app.state.database = database
            yield

    return Starlette(routes=[Route("/o/{token}", _open), Route("/c/{token}", _click)], lifespan=lifespan)


async def _open(request: Request) -> Response:
    await _store(request, "opened")
    return Response(PIXEL, media_type="image/gif", headers=_HEADERS)


async def _click(request: Request) -> Response:
    await _store(request, "clicked")
    return RedirectResponse(DESTINATION, status_code=302, headers=_HEADERS)


async def _store(request: Request, kind: str) -> None:
    database = request.app.state.database
    agent = request.headers.get("user-agent", "")
    network = request.client.host if request.client else None
    await database.execute(_INSERT, (request.path_params["token"], kind, time.time_ns() // 1_000_000, agent, network))
    await database.commit()


if __name__ == "__main__":
    serve(application(), int(sys.argv[1]), lifespan="on")
