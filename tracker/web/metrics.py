"""``/metrics``: for those who watch over this server, and for nobody else."""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .measures import Measures

_NEAR = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


class Metrics:
    """Answers loopback, private networks, and whoever carries the token; for all others there is nothing here.

    ``behind`` says that proxies are known, so that the address of a request is its client's. Where none is, a request
    that a proxy has passed on comes from anybody.
    """

    def __init__(self, measures: Measures, token: str | None, *, behind: bool) -> None:
        self._measures = measures
        self._token = _digest(token) if token is not None else None
        self._behind = behind

    def routes(self) -> Sequence[Route]:
        """Its route, for every method: which ones it has is told to nobody who may not ask."""
        return [Route("/metrics", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        if not (self._is_near(request) or self._knows_the_token(request)):
            raise HTTPException(404)
        if request.method not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        await Response(await self._measures.text(), headers=headers)(scope, receive, send)

    def _is_near(self, request: Request) -> bool:
        if request.client is None or not (self._behind or _came_directly(request)):
            return False
        try:
            address = ipaddress.ip_address(request.client.host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in _NEAR)

    def _knows_the_token(self, request: Request) -> bool:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(_digest(credentials.strip()), self._token)


def _came_directly(request: Request) -> bool:
    return not any(name in request.headers for name in _FORWARDED)


def _digest(token: str) -> bytes:
    """Of one length for every token, so that a comparison does not tell how long ours is."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
