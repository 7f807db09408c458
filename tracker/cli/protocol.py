"""HTTP as uvicorn speaks it, within limits of time and size, and in one write where that is quicker."""

import asyncio
import re
import socket
import struct
from collections import deque
from itertools import chain
from typing import Any

import httptools
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..web.prepared import WHOLE
from .connections import Connections
from .refusals import (
    FULL,
    HEADERS_TOO_LARGE,
    LONGEST_TARGET,
    MOST_HEADERS,
    NO_HOST,
    NOT_HTTP,
    TARGET_TOO_LONG,
    TOO_SLOW,
)

_SLOWEST_BYTES_S = 16 * 1024
"""What is sent at this rate gets the time it takes, besides the seconds everybody has."""

_LINGER_S = 2
"""How long a refusal waits for the client to stop: closed on one that still sends, it would be lost."""

_WITHOUT_LINGERING = struct.pack("ii", 1, 0)
"""For ``SO_LINGER``: what is unsent is thrown away, and the client hears of it at once."""

_SURELY_SHORT = 4 * 1024
_MOST_UNFINISHED = LONGEST_TARGET + MOST_HEADERS + 1024
_FIELD_EXTRA = len(b": \r\n")
_TRAILERS: Any = deque[tuple[bytes, bytes]](maxlen=0)

_HOST = re.compile(rb"[\w.~!$&'()*+,;=%-]*(?::\d*)?|\[[0-9A-Fa-fv:.]+\](?::\d*)?", re.ASCII)
"""A host and its port (RFC 3986, section 3.2.2), as far as no other part of a URL can be hidden in it."""

# What a connection is waiting for.
_NOTHING, _HEAD, _BODY, _REST_OF_BODY, _END = range(5)


class Protocol(HttpToolsProtocol):
    """Its answer to what is no HTTP is for no cache either, and an offer to upgrade is not taken up.

    Clients that offer HTTP/2 in this way send their request in HTTP/1.1 all the same, body included, and the
    server may ignore the offer (RFC 9110, section 7.8). The parser would take the body for the other protocol.

    An answer that was made beforehand goes out in one write (``tracker.web.prepared``).

    ``due`` is when the client should have got on; :class:`Connections` looks at those whose time is up.
    """

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections = connections
        self._head_s = connections.limits.head_seconds
        self._body_s = connections.limits.body_seconds
        self._stage = _HEAD
        self.due = connections.now + self._head_s
        self._answer_due: float | None = None
        self.url = b""
        self._weighs = False  # whether anything has come that may be too much
        self._objection = NOT_HTTP
        self._host = b""  # the last that was found good
        self._unfinished = 0  # bytes that made neither a head nor a body yet
        self._uncredited = 0  # bytes of the body that have not prolonged its time yet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # One for all requests of the connection: an object of each request, named in its scope, would be garbage
        # that only the collector finds, and its pauses would be the slowest answers.
        self._extensions: dict[str, Any] = {WHOLE: self.send_whole}
        if not self._connections.admit(self, self.client[0] if self.client else None):
            self.transport.write(FULL)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.forget(self)
        super().connection_lost(exc)

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
        if self._stage == _END:
            return
        if self._stage == _NOTHING:
            self._stage, self.due = _HEAD, self._connections.head_due
        self._unfinished += len(data)
        if self._unfinished > _SURELY_SHORT:
            self._weighs = True
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_offer(data[upgrade.args[0] :])
            except httptools.HttpParserError:
                self._refuse(self._objection)
                return
        if self._stage != _NOTHING:
            if self._unfinished > _SURELY_SHORT:
                self._check_unfinished()
        elif self.cycle.response_complete:
            # The body came after its answer: uvicorn's own limit for idle connections was lifted for it.
            self._stage, self.due = _HEAD, self._connections.head_due

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if self._weighs:
            self._check_head()
        self._check_host()
        super().on_headers_complete()
        # What stands below a body is nobody's business, and would be without end.
        self.headers = _TRAILERS
        self._stage, self.due = _BODY, self._connections.body_due

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        self._uncredited += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
            self._unfinished = 0
            self._stage, self.due = _NOTHING, self._connections.head_due

    def pause_writing(self) -> None:
        """More lies here than the client takes."""
        unsent = self.transport.get_write_buffer_size()
        self._answer_due = self._connections.now + self._body_s + unsent / _SLOWEST_BYTES_S
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._answer_due = None
        super().resume_writing()

    def waits(self) -> bool:
        """Whether it holds a place, and nothing is being done for it."""
        idle = self._stage in (_NOTHING, _HEAD) and not self._answering()
        return idle and self.transport.get_write_buffer_size() == 0

    def give_way(self) -> None:
        """Hang up at once."""
        self.transport.abort()

    def look(self) -> None:
        """The time for what was expected is up: cut it off, or say when to look again."""
        now = self._connections.now
        if self._answer_due is not None:
            self._look_at_answer(self._answer_due)
        elif self.transport.is_closing():
            self._look_at_closing()
        elif self._stage == _BODY:
            self._look_at_body(now)
        elif self._stage == _NOTHING or self._answering():
            # It waits for us.
            self.due = now + self._head_s
        elif self._stage == _HEAD and self._unfinished:
            self._refuse(TOO_SLOW)
        else:
            if self._stage == _HEAD:
                self._connections.connected.cut["nothing_sent"] += 1
            # Any other has been refused, and has had its time to hear of it.
            self.transport.abort()

    def _look_at_answer(self, answer_due: float) -> None:
        if answer_due < self._connections.now:
            self._throw_away()
        self.due = answer_due

    def _look_at_closing(self) -> None:
        """Closing ends when the client has taken what was sent; so far it has not."""
        if self.transport.get_write_buffer_size() and self._stage == _END:
            self._throw_away()
        elif self._stage == _END:
            self.transport.abort()
        self._wait_for(_END, self._body_s)

    def _throw_away(self) -> None:
        """Hang up on one who does not read. The system would go on for hours, holding megabytes for each of them."""
        self._connections.connected.cut["answer"] += 1
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITHOUT_LINGERING)
        self.transport.abort()

    def _look_at_body(self, now: float) -> None:
        self.due += self._uncredited / _SLOWEST_BYTES_S
        self._uncredited = 0
        if self.cycle.response_complete:
            # Nobody waits for it any more, but a client may read its answer only after it.
            self._wait_for(_REST_OF_BODY, self._body_s)
        elif self.flow.read_paused:
            self.due = now
        elif self.due < now:
            self._refuse(TOO_SLOW)

    def _wait_for(self, stage: int, seconds: float) -> None:
        self._stage = stage
        self.due = self._connections.now + seconds

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _check_head(self) -> None:
        """Raises ``ValueError``: the way out of the parser, which would go on with the request."""
        size = sum(map(len, chain.from_iterable(self.headers))) + _FIELD_EXTRA * len(self.headers)
        if len(self.url) > LONGEST_TARGET:
            self._objection = TARGET_TOO_LONG
        elif size > MOST_HEADERS:
            self._objection = HEADERS_TOO_LARGE
        else:
            return
        raise ValueError

    def _check_host(self) -> None:
        """RFC 9112, section 3.2: proxies in front may each believe another of two. Raises as above."""
        names = [name for name, _ in self.headers]
        if names.count(b"host") != 1:
            if b"host" in names or self.parser.get_http_version() not in ("0.9", "1.0"):
                self._objection = NO_HOST
                raise ValueError
        elif (host := self.headers[names.index(b"host")][1]) != self._host:
            if not _HOST.fullmatch(host):
                self._objection = NO_HOST
                raise ValueError
            self._host = host

    def _check_unfinished(self) -> None:
        if self._stage == _HEAD and len(self.url) > LONGEST_TARGET:
            self._refuse(TARGET_TOO_LONG)
        elif self._unfinished > _MOST_UNFINISHED:
            self._refuse(HEADERS_TOO_LARGE)

    def _refuse(self, refusal: bytes) -> None:
        """The last answer on this connection; what came before on it is answered first, and then it closes."""
        stage = self._stage
        if stage == _END:
            return
        self._connections.connected.cut[_limit_of(refusal, stage)] += 1
        self._wait_for(_END, _LINGER_S)
        if stage in (_BODY, _REST_OF_BODY):
            self._refuse_body(refusal)
        elif self._answering():
            self.cycle.keep_alive = False
        else:
            self._end_with(refusal)

    def _refuse_body(self, refusal: bytes) -> None:
        if self.cycle.response_started or self.pipeline:
            self.transport.abort()
            return
        # For the application the client has gone.
        self.cycle.disconnected = self.cycle.response_complete = True
        self.cycle.message_event.set()
        self._end_with(refusal)

    def _end_with(self, refusal: bytes) -> None:
        self.transport.write(refusal)
        if refusal is TOO_SLOW:
            self.transport.close()
        else:
            self.transport.write_eof()

    def _without_offer(self, rest: bytes) -> bytes:
        """The request that has been read so far, as if it had offered nothing, and the rest; for a new parser."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(NOT_HTTP)
            return b""
        kept = [(name, value) for name, value in self.headers if name not in (b"connection", b"upgrade")]
        fields = b"".join(b"%s: %s\r\n" % field for field in kept)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"%s %s HTTP/%s\r\n%s\r\n%s" % (method, self.url, version, fields, rest)


def _limit_of(refusal: bytes, stage: int) -> str:
    if refusal is TOO_SLOW:
        return "body" if stage in (_BODY, _REST_OF_BODY) else "head"
    return "syntax" if refusal is NOT_HTTP else "size"
