"""Whether this process lives, and whether it should be sent traffic."""

import asyncio
import time
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.times import written_time
from ..storage.database import Unavailable
from ..workers.backlog import Backlog
from ..workers.writer import EventWriter

_PATIENCE_S = 0.5
_BEHIND_S = 5.0
"""A projector this far behind is stuck, or has more to do than it can."""


class Health:
    """Ready also while storage is down: redirects do not need it, and no other process would do better."""

    def __init__(self, writer: EventWriter, backlog: Backlog, worker_alive: Callable[[], bool]) -> None:
        self._writer = writer
        self._backlog = backlog
        self._worker_alive = worker_alive
        self._down_since: int | None = None
        self.draining = False

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/livez", self.live), Route("/readyz", self.ready)]

    async def live(self, _: Request) -> Response:
        """200 while the event loop turns."""
        return _json({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """200 with how storage and the projector are, or 503 while draining."""
        lag_s = await self._lag_s()
        storage = self._storage(lag_s is None or self._writer.failing)
        behind = lag_s is not None and lag_s > _BEHIND_S
        good = storage == "ok" and not (behind or self._writer.refusing or self.draining) and self._worker_alive()
        state = {"status": "ok" if good else "degraded", "storage": storage, "projector_lag_seconds": lag_s}
        return _json(state, 503 if self.draining else 200)

    async def _lag_s(self) -> float | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._backlog.lag_s()
        except (TimeoutError, Unavailable):
            return None

    def _storage(self, down: bool) -> str:
        if not down:
            self._down_since = None
            return "ok"
        self._down_since = self._down_since or time.time_ns() // 1_000_000
        return f"down since {written_time(self._down_since)}"


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
