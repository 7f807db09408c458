"""Answers that are made once and sent many times."""

from typing import NamedTuple

from starlette.types import Message, Scope, Send

WHOLE = "tracker.whole"
"""The ASGI extension of our own server: ``(scope, status line, rest) -> bool`` sends an answer in one piece."""

_STATUS_LINES = {
    200: b"HTTP/1.1 200 OK\r\n",
    302: b"HTTP/1.1 302 Found\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\n",
}


class Prepared(NamedTuple):
    """An answer in ASGI's messages, and as the bytes of HTTP/1.1 around the fields a server adds itself."""

    start: Message
    body: Message
    status_line: bytes
    rest: bytes

    @classmethod
    def of(cls, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> "Prepared":
        """An answer of these header fields, ``content-length`` among them; nobody checks them again."""
        fields = b"".join(b"%b: %b\r\n" % field for field in headers)
        start = {"type": "http.response.start", "status": status, "headers": headers}
        sent = {"type": "http.response.body", "body": body}
        return cls(start, sent, _STATUS_LINES[status], fields + b"\r\n" + body)

    async def send(self, scope: Scope, send: Send) -> None:
        """In one piece where the server can, which spares it a system call and the checks of each field."""
        whole = scope["extensions"].get(WHOLE) if "extensions" in scope else None
        if whole is None or not whole(scope, self.status_line, self.rest):
            await send(self.start)
            await send(self.body)
