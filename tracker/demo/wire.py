"""Requests to one server, noted as they are made: what was sent, and what came back."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx

from .expecting import problem_of

_PATIENCE_S = 10.0
_READY_POLL_S = 0.05

_KINDS = {"application/json": "JSON", "image/gif": "a GIF", "text/html": "a page"}


class Elsewhere(ValueError):
    """A request to another host than the server's: the demo makes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer; ``sent`` and ``came`` say in words what matters of each."""

    method: str
    path: str
    sent: str
    status: int
    came: str


def connect(base_url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client of the server at ``base_url`` that follows no redirect and asks no proxy."""
    return httpx.AsyncClient(
        base_url=base_url,
        transport=transport,
        timeout=_PATIENCE_S,
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "tracker-demo"},
    )


async def until_ready(client: httpx.AsyncClient) -> None:
    """Returns once the server says that it takes requests."""
    while True:
        with suppress(httpx.TransportError):
            if (await client.get("/readyz")).status_code == 200:
                return
        await asyncio.sleep(_READY_POLL_S)


class Wire:
    """Sends requests to the one server of its client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._exchanges: list[Exchange] = []

    @property
    def base_url(self) -> str:
        """What the server's own URLs begin with."""
        return str(self._client.base_url).rstrip("/")

    async def send(
        self, method: str, url: str, sent: str, *, headers: Mapping[str, str], content: bytes | None = None
    ) -> httpx.Response:
        """The answer, whatever its status. Raises :class:`Elsewhere` and ``httpx.HTTPError``."""
        target = self._client.base_url.join(url)
        if _host(target) != _host(self._client.base_url):
            raise Elsewhere(f"{url} is on another host than {self.base_url}, and is not asked for")
        answer = await self._client.request(method, target, headers=dict(headers), content=content)
        path = target.raw_path.decode("ascii")
        self._exchanges.append(
            Exchange(method=method, path=path, sent=sent, status=answer.status_code, came=_in_words(answer))
        )
        return answer

    def taken(self) -> tuple[Exchange, ...]:
        """What was exchanged since this was last asked."""
        exchanges, self._exchanges = tuple(self._exchanges), []
        return exchanges


def _host(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _in_words(answer: httpx.Response) -> str:
    if answer.is_redirect:
        return str(answer.headers["location"])
    if problem := problem_of(answer):
        return problem
    if not answer.content:
        return "no body"
    kind = answer.headers.get("content-type", "").partition(";")[0]
    return _KINDS.get(kind, kind) or f"{len(answer.content):,} bytes"
