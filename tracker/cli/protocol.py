"""HTTP as uvicorn speaks it, but for two things that recipients and caches would suffer from."""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
    """

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
