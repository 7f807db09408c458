"""Every kind of request there is, and clients that hang up at any point of it."""

import asyncio
import contextlib
import json
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.server.harness import Account
from tests.server.ledger import Ledger
from tests.server.load import Mail, address_of, agent, message_request, new_name
from tests.server.stored import Deed, Kind
from tests.server.wire import Connection, written_request

_HEAD_OF_AN_ANSWER = len("HTTP/1.1 200")
_LONGEST_WORK_S = 0.02
_PATIENCE_S = 2.0
_LINES = 300
"""Of an import: more than one slice of them."""

NOW = "2100-01-01T00:00:00Z"
"""Later than any opt-out, so that a consent of then lifts it."""


class Request(NamedTuple):
    """One request. ``deeds`` are what it does, ``note`` is what it leaves in a row of suppressions.

    ``early`` says that it may be carried out before its body is whole.
    """

    route: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    deeds: Sequence[Deed] = ()
    note: str | None = None
    early: bool = False


@dataclass(slots=True)
class Noted:
    """The notes of rows that the server may have heard of whole, and of those that it has promised to have."""

    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)


class Asker:
    """Makes requests of every kind for one account, each with a name of its own."""

    def __init__(self, account: Account, mails: Sequence[Mail], rows: Sequence[str], seed: int) -> None:
        self._account = account
        self._mails = mails
        self._rows = rows
        self._chance = random.Random(seed)
        self.kinds: Sequence[Callable[[], Request]] = (*self._hits(), *self._calls())

    def any(self) -> Request:
        """One of them, by chance."""
        return self._chance.choice(self.kinds)()

    def _hits(self) -> Sequence[Callable[[], Request]]:
        return (
            lambda: self._hit("GET /o/", "opened", "GET", self._mail().open_path),
            lambda: self._hit("GET /c/", "clicked", "GET", self._mail().click_path),
            self._opt_out,
            lambda: Request("GET /u/", "GET", self._mail().unsubscribe_path, {}),
            lambda: Request("GET /p/", "GET", self._preferences(), {}),
            lambda: Request("POST /p/", "POST", self._preferences(), {}, b"action=undo"),
        )

    def _calls(self) -> Sequence[Callable[[], Request]]:
        row, key = self._row, "/v1/keys/00000000-0000-7000-8000-000000000000"
        looks = ("/v1/link-key", "/v1/topics", "/v1/account", "/v1/keys", "/v1/audit", "/v1/suppressions/changes")
        lists = ("/v1/events", "/v1/suppressions", "/v1/suppressions/export")
        return (
            *(self._look(path) for path in (*looks, *lists)),
            self._look("/v1/events/feed", lambda: "/v1/events/feed?after=100000000&wait=60"),
            self._look("/v1/messages/{id}", lambda: f"/v1/messages/{self._rows[0]}"),
            self._look("/v1/topics/{topic}", lambda: "/v1/topics/cut"),
            self._look("/v1/keys/{id}", lambda: key),
            self._look("/v1/suppressions/{id}", lambda: f"/v1/suppressions/{row()}"),
            self._message,
            self._batch,
            self._suppression,
            self._import,
            self._call("POST", "/v1/messages/sent", lambda: {"messages": [{"id": row(), "sent_at": NOW}]}),
            self._call("POST", "/v1/events/search", lambda: {"email": address_of("nobody")}),
            self._call("POST", "/v1/suppressions/check", self._checked),
            self._call("POST", "/v1/suppressions/search", lambda: {"email": address_of("nobody")}),
            self._call("POST", "/v1/keys", lambda: {"name": "cut", "scopes": ["messages"]}),
            self._call("PATCH", "/v1/account", lambda: {"name": new_name("account")}),
            self._call("PUT", "/v1/topics/{topic}", dict, lambda: "/v1/topics/cut"),
            self._call("DELETE", "/v1/topics/{topic}", None, lambda: "/v1/topics/cut"),
            self._call("DELETE", "/v1/campaigns/{campaign}", None, lambda: "/v1/campaigns/cut"),
            self._call("DELETE", "/v1/keys/{id}", None, lambda: key),
            self._call("DELETE", "/v1/suppressions/{id}", None, lambda: f"/v1/suppressions/{row()}"),
            self._call("POST", "/v1/suppressions/{id}/lift", _consent, lambda: f"/v1/suppressions/{row()}/lift"),
        )

    def _mail(self) -> Mail:
        return self._chance.choice(self._mails)

    def _row(self) -> str:
        return self._chance.choice(self._rows)

    def _preferences(self) -> str:
        return self._mail().unsubscribe_path.replace("/u/", "/p/", 1)

    def _hit(self, route: str, kind: Kind, method: str, path: str) -> Request:
        name = new_name(kind)
        return Request(route, method, path, agent(name), deeds=[Deed(self._account.id, kind, name)])

    def _opt_out(self) -> Request:
        """Whoever leaves needs no body: what comes of it is not waited for."""
        mail = self._mail()
        deed = Deed(self._account.id, "unsubscribed", mail.name)
        body = b"List-Unsubscribe=One-Click"
        return Request("POST /u/", "POST", mail.unsubscribe_path, agent(mail.name), body, [deed], early=True)

    def _look(self, route: str, path: Callable[[], str] | None = None) -> Callable[[], Request]:
        return lambda: Request(f"GET {route}", "GET", path() if path else route, self._account.authorization)

    def _call(
        self, method: str, route: str, body: Callable[[], Any] | None, path: Callable[[], str] | None = None
    ) -> Callable[[], Request]:
        def request() -> Request:
            content = json.dumps(body()).encode() if body else b""
            headers = {**self._account.authorization, "content-type": "application/json"} if body else {}
            return Request(
                f"{method} {route}", method, path() if path else route, headers or self._account.authorization, content
            )

        return request

    def _checked(self) -> dict[str, Any]:
        return {"recipients": [mail.address for mail in self._mails] * 10}

    def _message(self) -> Request:
        name = new_name("message")
        headers, body = message_request(self._account, name)
        deed = Deed(self._account.id, "message", name)
        return Request("POST /v1/messages", "POST", "/v1/messages", headers, body, [deed])

    def _batch(self) -> Request:
        names = [new_name("message") for _ in range(self._chance.choice((1, 200)))]
        recipients = [{"email": address_of(name), "external_id": name} for name in names]
        body = json.dumps({"campaign": "spring-sale", "recipients": recipients}).encode()
        deeds = [Deed(self._account.id, "message", name) for name in names]
        path = "/v1/messages/batch"
        return Request(f"POST {path}", "POST", path, self._account.authorization, body, deeds)

    def _suppression(self) -> Request:
        note = f"{self._account.id} {new_name('suppression')}"
        content = {"email": address_of(new_name("row")), "reason": "manual", "note": note}
        path, body = "/v1/suppressions", json.dumps(content).encode()
        return Request(f"POST {path}", "POST", path, self._account.authorization, body, note=note)

    def _import(self) -> Request:
        path, note = "/v1/suppressions/import", f"{self._account.id} list"
        lines = (f"{address_of(new_name('row'))},manual,{note}\n" for _ in range(_LINES))
        body = "".join(["email,reason,note\n", *lines]).encode()
        headers = {**self._account.authorization, "content-type": "text/csv"}
        return Request(f"POST {path}", "POST", path, headers, body)


class Cutter:
    """Sends requests and hangs up: in the middle, at the end, while the server works, or in the answer."""

    def __init__(self, port: int, ledger: Ledger, noted: Noted, seed: int) -> None:
        self._port = port
        self._ledger = ledger
        self._noted = noted
        self._chance = random.Random(seed)
        self.cuts: Counter[str] = Counter()
        """By where they came."""
        self.routes: Counter[str] = Counter()

    async def cut(self, request: Request) -> None:
        """Nobody listening is no cut."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            await asyncio.sleep(_LONGEST_WORK_S)
            return
        if self._chance.random() < 0.5:
            # Half of them will break off without a farewell.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            await self._cut(reader, writer, request)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self.routes[request.route] += 1

    async def _cut(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        data = written_request(request.method, request.path, request.headers, request.body)
        where = self._chance.choice(("in the request", "after it", "at work", "in the answer"))
        self.cuts[where] += 1
        sent = self._chance.randrange(len(data)) if where == "in the request" else len(data)
        if sent == len(data) or (request.early and sent >= len(data) - len(request.body)):
            self._send(request)
        began = time.monotonic()
        writer.write(data[:sent])
        await writer.drain()
        if where == "at work":
            await asyncio.sleep(self._chance.random() * _LONGEST_WORK_S)
        elif where == "in the answer":
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readexactly(_HEAD_OF_AN_ANSWER)
                self._answered(request, int(head[-3:]), time.monotonic() - began)
                await reader.read(self._chance.randrange(1, 2_000))

    def _send(self, request: Request) -> None:
        for deed in request.deeds:
            self._ledger.send(deed)
        if request.note:
            self._noted.sent.add(request.note)

    def _answered(self, request: Request, status: int, took_s: float) -> None:
        for deed in request.deeds:
            self._ledger.answered(deed, status, took_s)
        if request.note and status in (200, 201):
            self._noted.acknowledged.add(request.note)


async def cut_off(cutter: Cutter, askers: Sequence[Asker], *, upto: int, at_once: int = 16) -> None:
    """Go on until so many requests have been cut."""

    async def turns(number: int) -> None:
        while cutter.routes.total() < upto:
            await cutter.cut(askers[number % len(askers)].any())

    async with asyncio.TaskGroup() as group:
        for number in range(at_once):
            group.create_task(turns(number))


async def rows_of_those_who_left(port: int, account: Account) -> list[str]:
    """The ids of the account's suppressions."""
    async with Connection(port) as connection:
        answer = await connection.ask("GET", "/v1/suppressions?limit=1000", headers=account.authorization)
        return [row["id"] for row in answer.json()["data"]]


def _consent() -> dict[str, str]:
    return {"consented_at": NOW, "method": "form", "evidence": "1"}
