"""A plain HTTP/1.1 client that tells exactly what became of each request."""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_PATIENCE_S = 20.0
_NO_HEADERS: Mapping[str, str] = {}


class NotSent(ConnectionError):
    """Nobody listened: the server has seen nothing of this request."""


class NoAnswer(ConnectionError):
    """The request went out and its answer did not come back whole: whether it was carried out is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    took_s: float

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Connection:
    """One keep-alive connection, opened when it is needed and again after a failure."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] = _NO_HEADERS, body: bytes = b""
    ) -> Answer:
        """Raises :class:`NotSent` or :class:`NoAnswer`."""
        reader, writer = await self._connected()
        began = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(written_request(method, path, headers, body))
                await writer.drain()
                answer = await _read_answer(reader, method, began)
        except (OSError, EOFError) as error:
            await self.close()
            raise NoAnswer(f"{method} {path}: {error!r}") from error
        except asyncio.CancelledError:
            await self.close()
            raise
        if answer.headers.get("connection") == "close":
            await self.close()
        return answer

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                raise NotSent(str(error)) from error
        return self._streams


async def ask(
    port: int, method: str, path: str, *, headers: Mapping[str, str] = _NO_HEADERS, body: bytes = b""
) -> Answer:
    """One request on a connection of its own."""
    async with Connection(port) as connection:
        return await connection.ask(method, path, headers=headers, body=body)


def written_request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a request."""
    length = {"content-length": str(len(body))} if body or method == "POST" else {}
    lines = [f"{name}: {value}\r\n" for name, value in {"host": "t.example", **length, **headers}.items()]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1") + body


async def _read_answer(reader: asyncio.StreamReader, method: str, began: float) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b"" if method == "HEAD" else await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(status=int(first.split(" ")[1]), headers=headers, body=body, took_s=time.monotonic() - began)
