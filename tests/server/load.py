"""Mailers, readers and leavers, all at once, with a ledger of what they did."""

import asyncio
import itertools
import json
import math
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

from tests.server.harness import Account, Server
from tests.server.ledger import Ledger
from tests.server.stored import Deed, Kind
from tests.server.wire import Answer, Connection, NoAnswer, NotSent

_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
_MAIL = '<html><body><p>Hello <a href="https://shop.example.com/?a=1&amp;b=2#top">see</a></p></body></html>'
_LATER_S = 0.02
"""A moment's rest for whoever finds nobody there, or nothing to do: the server needs the processor more."""
_MOST_CHECKED, _MOST_IN_A_BATCH = 10_000, 1_000
_GLANCE_S = 0.001
_STALLED_S = 60.0

_names = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message that was made, and the paths its recipient may follow."""

    account: Account
    name: str
    open_path: str
    click_path: str
    unsubscribe_path: str

    @property
    def address(self) -> str:
        """Whom it was made for; each mail has a recipient of its own."""
        return address_of(self.name)


def address_of(name: str) -> str:
    """The recipient of the message of that name."""
    return f"{name}@example.com"


def agent(name: str) -> dict[str, str]:
    """The headers of a reader's browser, with the name of what the reader does."""
    return {"user-agent": f"{_BROWSER} {name}"}


def new_name(kind: str) -> str:
    """A name no other deed has."""
    return f"{kind}-{next(_names)}"


def message_request(account: Account, name: str, campaign: str = "spring-sale") -> tuple[dict[str, str], bytes]:
    """The headers and the body that make a message."""
    content = {
        "campaign": campaign,
        "recipient": {"email": address_of(name), "external_id": name},
        "html": _MAIL,
    }
    return {**account.authorization, "content-type": "application/json"}, json.dumps(content).encode()


def mail_in(account: Account, name: str, answer: Answer) -> Mail:
    """The mail that a 201 describes."""
    made = answer.json()
    click = re.search(r'href="([^"]*/c/[^"]*)"', made["html"])
    assert click is not None, made["html"]
    return _mail_of(account, name, made, click[1])


def _mail_of(account: Account, name: str, made: Mapping[str, Any], click_url: str = "") -> Mail:
    return Mail(
        account=account,
        name=name,
        open_path=urlsplit(made["open_url"]).path,
        click_path=urlsplit(click_url).path,
        unsubscribe_path=urlsplit(made["unsubscribe_url"]).path,
    )


class Client:
    """Does one deed after the other on a connection of its own, and writes each down."""

    def __init__(self, port: int, ledger: Ledger) -> None:
        self._connection = Connection(port)
        self._ledger = ledger

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._connection.close()

    async def make_mail(self, account: Account, campaign: str = "spring-sale") -> Mail | None:
        """A new message; None when it was not answered with one."""
        name = new_name("message")
        headers, body = message_request(account, name, campaign)
        answer = await self._do(Deed(account.id, "message", name), "POST", "/v1/messages", headers, body)
        return mail_in(account, name, answer) if answer is not None and answer.status == 201 else None

    async def make_batch(self, account: Account, number: int) -> list[Mail]:
        """New messages in one call; none when it was not answered with them."""
        deeds = [Deed(account.id, "message", new_name("message")) for _ in range(number)]
        for deed in deeds:
            self._ledger.send(deed)
        recipients = [{"email": address_of(deed.name), "external_id": deed.name} for deed in deeds]
        body = json.dumps({"campaign": "spring-sale", "recipients": recipients}).encode()
        answer = await self._asked("POST", "/v1/messages/batch", account.authorization, body)
        if answer is None:
            return []
        for deed in deeds:
            self._ledger.answered(deed, answer.status, answer.took_s)
        if answer.status != 200:
            return []
        return [_mail_of(account, deed.name, made) for deed, made in zip(deeds, answer.json()["data"], strict=True)]

    async def open(self, mail: Mail) -> Answer | None:
        """The picture is shown."""
        return await self._hit("opened", mail, "GET", mail.open_path, new_name("opened"))

    async def click(self, mail: Mail) -> Answer | None:
        """The link is followed, as far as to us."""
        return await self._hit("clicked", mail, "GET", mail.click_path, new_name("clicked"))

    async def leave(self, mail: Mail) -> Answer | None:
        """One click on "unsubscribe". Doing it again is the same deed."""
        return await self._hit("unsubscribed", mail, "POST", mail.unsubscribe_path, mail.name)

    async def check(self, account: Account, names: Sequence[str]) -> list[bool]:
        """Whether the recipients of these messages may be written to. Raises ``NotSent``, ``NoAnswer``."""
        allowed: list[bool] = []
        for start in range(0, len(names), _MOST_CHECKED):
            asked = [address_of(name) for name in names[start : start + _MOST_CHECKED]]
            body = json.dumps({"recipients": asked}).encode()
            answer = await self._connection.ask(
                "POST", "/v1/suppressions/check", headers=account.authorization, body=body
            )
            assert answer.status == 200, answer
            allowed += [row["allowed"] for row in answer.json()["data"]]
        return allowed

    async def _hit(self, kind: Kind, mail: Mail, method: str, path: str, name: str) -> Answer | None:
        body = b"List-Unsubscribe=One-Click" if method == "POST" else b""
        return await self._do(Deed(mail.account.id, kind, name), method, path, agent(name), body)

    async def _do(self, deed: Deed, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        self._ledger.send(deed)
        answer = await self._asked(method, path, headers, body)
        if answer is not None:
            self._ledger.answered(deed, answer.status, answer.took_s)
        return answer

    async def _asked(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """Whoever finds nobody there, or no storage, rests a moment."""
        try:
            answer = await self._connection.ask(method, path, headers=headers, body=body)
        except NotSent:
            await asyncio.sleep(_LATER_S)
            return None
        except NoAnswer:
            self._ledger.unanswered()
            return None
        if answer.status == 503:
            await asyncio.sleep(_LATER_S)
        return answer


async def make_mails(server: Server, account: Account, ledger: Ledger, number: int) -> list[Mail]:
    """So many messages, each to a recipient of its own."""
    mails: list[Mail] = []

    async def make() -> None:
        async with Client(server.port, ledger) as client:
            while len(mails) < number:
                mail = await client.make_mail(account)
                assert mail is not None, ledger.answers
                mails.append(mail)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(make())
    return mails[:number]


async def batch_of_mails(server: Server, account: Account, ledger: Ledger, number: int) -> list[Mail]:
    """So many messages without a content, of which nothing can be clicked."""
    mails: list[Mail] = []
    async with Client(server.port, ledger) as client:
        while len(mails) < number:
            mails += await client.make_batch(account, min(_MOST_IN_A_BATCH, number - len(mails)))
    return mails


class Pace:
    """Lets so many through in a second, and does not make up for those that did not come; at first all."""

    def __init__(self) -> None:
        self.per_second = math.inf
        self._next = 0.0

    async def wait(self) -> None:
        """Until it is one's turn."""
        if math.isfinite(self.per_second):
            now = asyncio.get_running_loop().time()
            self._next = max(self._next, now) + 1 / self.per_second
            await asyncio.sleep(self._next - now)


class Load:
    """A mailer for each account, readers, and leavers for every second mail, as long as it is entered.

    ``beside`` are more nodes of the same installation: every client has its own.
    """

    def __init__(
        self,
        server: Server,
        accounts: Sequence[Account],
        ledger: Ledger,
        *,
        readers: int = 8,
        leavers: int = 2,
        seed: int = 1,
        pace: "Pace | None" = None,
        beside: Sequence[Server] = (),
    ) -> None:
        self._ports = itertools.cycle([server.port, *(other.port for other in beside)])
        self.accounts = accounts
        self._ledger = ledger
        self._readers = readers
        self._leavers = leavers
        self._random = random.Random(seed)
        self._pace = pace or Pace()
        self._ended = False
        self.mails: list[Mail] = []
        self._to_leave: list[Mail] = []

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for account in self.accounts:
            self._start(partial(self._mail, account))
        for _ in range(self._readers):
            self._start(self._read)
        for _ in range(self._leavers):
            self._start(self._leave)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._ended = True
        await self._group.__aexit__(None, None, None)

    async def grows(self, by: int) -> None:
        """Wait until so many more deeds have been acknowledged."""
        await self._until(lambda: self._ledger.acknowledgements, by)

    async def answered(self, kind: Kind, status: int, *, more: int) -> None:
        """Wait until so many more deeds of this kind have been answered with this status."""
        await self._until(lambda: self._ledger.answers[kind, status], more)

    async def _until(self, number: Callable[[], int], more: int) -> None:
        wanted, loop = number() + more, asyncio.get_running_loop()
        deadline = loop.time() + _STALLED_S
        while number() < wanted:
            assert loop.time() < deadline, f"the load stands still: {self._ledger.answers}"
            await asyncio.sleep(_GLANCE_S)

    def _start(self, turn: Callable[[Client], Awaitable[None]]) -> None:
        self._group.create_task(self._run(turn))

    async def _run(self, turn: Callable[[Client], Awaitable[None]]) -> None:
        async with Client(next(self._ports), self._ledger) as client:
            while not self._ended:
                await self._pace.wait()
                await turn(client)

    async def _mail(self, account: Account, client: Client) -> None:
        mail = await client.make_mail(account)
        if mail is not None:
            self.mails.append(mail)
            if len(self.mails) % 2:
                self._to_leave.append(mail)

    async def _read(self, client: Client) -> None:
        if not self.mails:
            await asyncio.sleep(_LATER_S)
            return
        mail = self._random.choice(self.mails)
        await (client.open(mail) if self._random.random() < 0.7 else client.click(mail))

    async def _leave(self, client: Client) -> None:
        if not self._to_leave:
            await asyncio.sleep(_LATER_S)
            return
        mail = self._to_leave.pop()
        answer = await client.leave(mail)
        if answer is None or answer.status != 200:
            # Not known to be heard: a person would try again, and so would a mail program.
            self._to_leave.append(mail)
