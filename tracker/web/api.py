"""The one way every request to the API takes: who asks, for what, with what, and only then the handler."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..domain.audit import LOOKS
from ..storage.accounts import Account
from ..storage.api_keys import Access
from ..storage.audit import AuditTrail
from ..storage.database import Stale, Unavailable
from .auth import Guard, require
from .bodies import JsonBody
from .bulk import Bulk, is_large
from .idempotency import Idempotency, Once, keyed_request
from .operations import Call, Endpoint
from .parameters import QueryReader
from .problems import Problem
from .quotas import Quotas

_ATTEMPTS = 5
"""At a call that others get in the way of, each time with nothing done."""


class Api:
    """Serves the table."""

    def __init__(
        self,
        guard: Guard,
        quotas: Quotas,
        bulk: Bulk,
        idempotency: Idempotency,
        trail: AuditTrail,
        endpoints: Sequence[Endpoint],
    ) -> None:
        self._around = _Around(guard, quotas, bulk, idempotency, trail)
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        """A route for each path, with all of its methods; ``/x/batch`` is found before ``/x/{id}``."""
        paths: defaultdict[str, dict[str, _Steps]] = defaultdict(dict)
        for endpoint in self._endpoints:
            operation = endpoint.operation
            paths[operation.path][operation.method] = _Steps(self._around, endpoint)
        return [Route(path, _Methods(paths[path])) for path in sorted(paths, key=lambda path: "{" in path)]


class _Methods:
    """What answers at one path. It takes every method, so that no other path is asked about those it has not."""

    def __init__(self, methods: Mapping[str, "_Steps"]) -> None:
        self._methods = {**({"HEAD": methods["GET"]} if "GET" in methods else {}), **methods}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        steps = self._methods.get(scope["method"])
        if steps is None:
            raise HTTPException(405, headers={"Allow": ", ".join(self._methods)})
        with ExitStack() as held:
            response = await steps.answer(Request(scope, receive, send), held)
            await response(scope, receive, send)


class _Around(NamedTuple):
    """What the steps before and after every handler need."""

    guard: Guard
    quotas: Quotas
    bulk: Bulk
    idempotency: Idempotency
    trail: AuditTrail


class _Steps:
    """What is done for every request to one endpoint, in this order.

    Whatever holds for all of the API has its place here, before or after the handler.
    """

    def __init__(self, around: _Around, endpoint: Endpoint) -> None:
        self._guard, self._quotas, self._bulk, self._idempotency, self._trail = around
        self._endpoint = endpoint
        self._operation = endpoint.operation
        self._query = QueryReader(endpoint.operation.query)

    async def answer(self, request: Request, held: ExitStack) -> Response:
        """The handler's answer. Raises ``Problem`` for what stands in its way.

        ``held`` is let go once the answer has been sent.
        """
        account, access = await self._guard.admit(request)
        fields = self._quotas.take(access)
        try:
            response = await self._carried_out(request, account, access, held)
        except Problem as problem:
            problem.headers.update(fields)
            raise
        response.headers.update(fields)
        return response

    async def _carried_out(self, request: Request, account: Account, access: Access, held: ExitStack) -> Response:
        require(access, self._operation.scope)
        query = self._query.read(request.query_params)
        path = self._path(request.path_params)
        if self._endpoint.permit is not None:
            self._endpoint.permit(account)
        large = self._operation.bulk and is_large(request)
        if large:
            held.enter_context(self._bulk.admitted(account.id))
        posted = self._operation.method == "POST"
        keyed = keyed_request(request, account.id, self._operation.path) if posted else None
        request = keyed.request if keyed is not None else request
        body = await self._operation.body.read(request) if self._operation.body is not None else None

        async def handle(once: Once) -> Response:
            call = Call(
                account=account,
                access=access,
                path=path,
                query=query,
                body=body,
                request=request,
                once=once,
                action=self._operation.audit,
            )
            response = await self._endpoint.handler(call)
            if self._operation.audit in LOOKS and request.method != "HEAD":
                await self._trail.record(call.entry(None))
            return response

        # What reads its body or writes its answer by itself may take as long as its client likes.
        async with self._bulk.turn if large and isinstance(self._operation.body, JsonBody) else nullcontext():
            return await self._undisturbed(lambda: self._idempotency.carry_out(keyed, self._operation.effect, handle))

    async def _undisturbed(self, carry_out: Callable[[], Awaitable[Response]]) -> Response:
        """Once more, when what a transaction builds on changed meanwhile: nothing of it was done."""
        for _ in range(_ATTEMPTS):
            with suppress(Stale):
                return await carry_out()
        raise Unavailable("others change the same thing all the time")

    def _path(self, found: Mapping[str, Any]) -> dict[str, Any]:
        return {one.name: one.read(found[one.name]) for one in self._operation.path_parameters}
