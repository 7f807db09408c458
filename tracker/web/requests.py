"""Every request but the two hits: the id it goes by, and the line it leaves in the log."""

import logging
import re
import time
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..domain.ids import new_id, written
from .tallies import Tally

log = logging.getLogger(__name__)

UNMATCHED = "unmatched"
"""Stands for the route where a path leads nowhere."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/livez", "/readyz", "/metrics", UNMATCHED})
"""What machines ask all day, and what scanners try: logged for those who debug."""

_CONVERTER = re.compile(r":\w+\}")


class CurrentRequest:
    """The request that is being answered, as far as a log may know it."""

    def __init__(self) -> None:
        self.id = written(new_id())
        self.account: str | None = None


_current: ContextVar[CurrentRequest | None] = ContextVar("current request", default=None)


def current_request() -> CurrentRequest | None:
    """The request that this code works for; None for work that nobody waits for."""
    return _current.get()


def note_account(account: bytes) -> None:
    """Say whose API key the current request carries."""
    request = _current.get()
    if request is not None:
        request.account = written(account)


class Requests:
    """Gives each request an id, sends it along as ``Request-Id``, and counts and logs how the request ended.

    The id is always our own: what a client sends stays out of the log. Neither path nor query nor anything else
    that was sent is logged, but the template of the route.
    """

    def __init__(self, app: ASGIApp, tally: Tally) -> None:
        self._app = app
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = _current.set(CurrentRequest())
        self._tally.under_way += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self._tally.under_way -= 1
            _current.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 500
        request = _current.get()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if request is not None:
                    MutableHeaders(scope=message)["Request-Id"] = request.id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            # Its answer is sent, or its connection will be closed since it was not: nothing is left to do but tell.
            log.exception("a request failed", extra=_known(scope))
        known, took_s = _known(scope), time.perf_counter() - began
        self._tally.answered(known["route"], known["method"], status, took_s)
        known.update(status=status, ms=round(took_s * 1000, 1))
        log.log(logging.DEBUG if known["route"] in _QUIET else logging.INFO, "answered", extra=known)


def _known(scope: Scope) -> dict[str, Any]:
    route = scope.get("route")
    template = UNMATCHED if route is None else _CONVERTER.sub("}", route.path)
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return {"route": template, "method": method}
