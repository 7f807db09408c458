"""HTTP as uvicorn speaks it: safe for recipients and caches where it is not, and in one write where that is quicker."""

import asyncio
from typing import Any

import httptools
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..web.prepared import WHOLE

_NOT_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: 30\r\n"
    b"cache-control: no-store\r\n"
    b"referrer-policy: no-referrer\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"connection: close\r\n\r\n"
    b"This is not an HTTP request.\r\n"
)


class Protocol(HttpToolsProtocol):
    """Its answer to what is no HTTP is for no cache either, and an offer to upgrade is not taken up.

    Clients that offer HTTP/2 in this way send their request in HTTP/1.1 all the same, body included, and the
    server may ignore the offer (RFC 9110, section 7.8). The parser would take the body for the other protocol.

    An answer that was made beforehand goes out in one write (``tracker.web.prepared``).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        # One for all requests of the connection: an object of each request, named in its scope, would be garbage
        # that only the collector finds, and its pauses would be the slowest answers.
        self._extensions: dict[str, Any] = {WHOLE: self.send_whole}

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    def send_whole(self, scope: HTTPScope, status_line: bytes, rest: bytes) -> bool:
        """Answer the request of this scope in one write. False, with nothing done, where it needs the usual way: a
        HEAD, a request before others on the connection, the last of it, a reader who is behind."""
        cycle = self.cycle
        if cycle.scope is not scope or scope["method"] == "HEAD" or not cycle.keep_alive:
            return False
        if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        added = [b"%b: %b\r\n" % field for field in self.server_state.default_headers]
        self.transport.write(b"".join((status_line, *added, rest)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_offer(data[upgrade.args[0] :])
            except httptools.HttpParserError:
                self.send_400_response("")
                data = b""

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the signature is uvicorn's
        self.transport.write(_NOT_HTTP)
        self.transport.close()

    def _without_offer(self, rest: bytes) -> bytes:
        """The request that has been read so far, as if it had offered nothing, and the rest; for a new parser."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self.send_400_response("")
            return b""
        kept = [(name, value) for name, value in self.headers if name not in (b"connection", b"upgrade")]
        fields = b"".join(b"%s: %s\r\n" % field for field in kept)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"%s %s HTTP/%s\r\n%s\r\n%s" % (method, self.url, version, fields, rest)
