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
from ..workers.inspection import Inspection
from ..workers.pulse import Pulse, earliest
from ..workers.writer import EventWriter

_PATIENCE_S = 0.5
_BEHIND_S = 5.0
"""A projector this far behind is stuck, or has more to do than it can."""


class Health:
    """Ready also while storage is down: redirects do not need it, and no other process would do better."""

    def __init__(
        self,
        writer: EventWriter,
        backlog: Backlog,
        pulse: Pulse,
        inspection: Inspection,
        worker_alive: Callable[[], bool],
    ) -> None:
        self._writer = writer
        self._backlog = backlog
        self._pulse = pulse
        self._inspection = inspection
        self._worker_alive = worker_alive
        self._silent_since: int | None = None
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
        down_since = earliest(self._writer.failing_since, self._pulse.down_since, self._silent_since)
        behind = lag_s is not None and lag_s > _BEHIND_S
        troubled = behind or self._writer.refusing or self._inspection.damaged or self.draining
        good = down_since is None and not troubled and self._worker_alive()
        storage = "ok" if down_since is None else f"down since {written_time(down_since)}"
        state = {"status": "ok" if good else "degraded", "storage": storage, "projector_lag_seconds": lag_s}
        return _json(state, 503 if self.draining else 200)

    async def _lag_s(self) -> float | None:
        began = time.time_ns() // 1_000_000
        try:
            async with asyncio.timeout(_PATIENCE_S):
                lag_s = await self._backlog.lag_s()
        except (TimeoutError, Unavailable):
            self._silent_since = self._silent_since or began
            return None
        self._silent_since = None
        return lag_s


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
