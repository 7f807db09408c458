"""Sends lists to the API and fetches them from it, with patience for a server that is busy or restarted."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

import click
import httpx
import msgspec

from .. import __version__
from ..domain.ids import new_id, written
from ..web.suppression_imports import Report
from .reaching import Reached

# A large call waits for those of other accounts.
_TIMEOUT = httpx.Timeout(300.0, connect=10.0)
_PATIENCE_S = 120.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_LATER = (409, 429, 502, 503, 504)
"""Of them 409 says that the server is still at work on the call, since its connection broke before the answer."""


class ListClient:
    """One API, for as long as it is entered. Raises ``ClickException`` for what goes wrong for good."""

    def __init__(self, reached: Reached) -> None:
        self._address = reached.address
        self._known = False
        self._client = httpx.AsyncClient(
            base_url=reached.address,
            timeout=_TIMEOUT,
            trust_env=not reached.here,
            headers={"Authorization": f"Bearer {reached.key}", "User-Agent": f"tracker/{__version__}"},
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.__aexit__()

    async def add(self, rows: Sequence[bytes], reason: str) -> Report:
        """Import these objects in JSON. They are sent until they are answered, under one key: so the answer counts
        each row once, whatever happened on the way."""
        asked = self._client.build_request(
            "POST",
            "/v1/suppressions/import",
            params={"reason": reason},
            content=b"\n".join(rows),
            headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": written(new_id())},
        )
        async with self._answered(asked) as answer:
            return msgspec.json.decode(answer.content, type=Report)

    async def export(self, question: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """The file, piece by piece."""
        asked = self._client.build_request("GET", "/v1/suppressions/export", params=dict(question))
        async with self._answered(asked, stream=True) as answer:
            try:
                async for piece in answer.aiter_bytes():
                    yield piece
            except httpx.TransportError as error:
                raise self._gone(_words(error)) from None

    @asynccontextmanager
    async def _answered(self, asked: httpx.Request, *, stream: bool = False) -> AsyncIterator[httpx.Response]:
        answer = await self._patiently(asked, stream=stream)
        try:
            if answer.status_code != httpx.codes.OK:
                raise await self._refused(answer)
            yield answer
        finally:
            await answer.aclose()

    async def _patiently(self, asked: httpx.Request, *, stream: bool) -> httpx.Response:
        waited_s, pause_s = 0.0, _FIRST_PAUSE_S
        while True:
            try:
                answer = await self._client.send(asked, stream=stream)
                self._known = True
                if answer.status_code not in _LATER:
                    return answer
                await answer.aclose()
                trouble, wait_s = f"it answers {answer.status_code}", max(pause_s, _retry_after(answer))
            except (httpx.TransportError, httpx.InvalidURL) as error:
                trouble, wait_s = _words(error), pause_s
            # A server that was never there is a wrong address; one that was comes back.
            if not self._known or waited_s + wait_s > _PATIENCE_S:
                raise self._gone(trouble)
            await _wait(wait_s)
            waited_s += wait_s
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _refused(self, answer: httpx.Response) -> click.ClickException:
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return click.ClickException(f"the server at {self._address} does not know this key: is it another one's?")
        return click.ClickException(
            f"the server at {self._address} answers {answer.status_code}: {_detail(await answer.aread())}"
        )

    def _gone(self, trouble: str) -> click.ClickException:
        return click.ClickException(
            f"the server at {self._address} cannot be asked now ({trouble}): run the command again, "
            "or name another address with --url"
        )


async def _wait(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _retry_after(answer: httpx.Response) -> float:
    seconds = answer.headers.get("retry-after", "")
    return float(seconds) if seconds.isascii() and seconds.isdecimal() else 0.0


class _Error(msgspec.Struct):
    detail: str


class _Problem(msgspec.Struct):
    detail: str = ""
    errors: list[_Error] = []


def _detail(content: bytes) -> str:
    try:
        problem = msgspec.json.decode(content, type=_Problem)
    except msgspec.MsgspecError:
        return "that is no answer of Tracker, so look at the address"
    return " ".join([problem.detail, *(error.detail for error in problem.errors)]).strip()
