"""The story: a newsletter is made, opened, followed and left, and each step shows that it was so."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

import httpx
import msgspec

from ..domain.events import Event
from . import readers
from .expecting import Wrong, expect, expect_header, expect_status, problem_of
from .mail import LinkReported, Mail, check_mail, forged_link, forged_pixel
from .newsletter import Newsletter
from .readers import ADA, BEN, CLEO, DORA, READERS, Program, Reader
from .sender import Checked, Sender
from .steps import Outcome, Step, Table
from .tables import table_of_events, table_of_links, table_of_suppressions
from .wire import Wire

_ONE_CLICK = "List-Unsubscribe=One-Click"
_BAIT = "https://phishing.example/login"
_PIXEL_BYTES = 43

# Beside what is wrong: a server that is not ours, or none at all, may answer anything.
_FLAWS = (Wrong, ValueError, msgspec.DecodeError, httpx.HTTPError, httpx.InvalidURL)


class _Trace(NamedTuple):
    """An event as a step of the story must leave it."""

    type: str
    email: str | None
    verdict: str
    url: str | None = None
    method: str | None = None


_Act = Callable[[], Awaitable[None]]


class Story:
    """Is played against the server of ``wire``; ``tell`` hears of each step as it ends."""

    def __init__(self, wire: Wire, newsletter: Newsletter, api_key: str, tell: Callable[[Step], None]) -> None:
        self._wire = wire
        self._html = newsletter.html
        self._sender = Sender(wire, api_key)
        self._tell = tell
        self._steps: list[Step] = []
        self._table: Table | None = None
        self._mails: dict[Reader, Mail] = {}
        self._picture = b""
        self._traces: list[_Trace] = []
        self._events: Sequence[Event] = ()
        self._suppressions: Sequence[Checked] = ()

    async def play(self) -> Outcome:
        """Every step in turn; without mails there is only the first."""
        await self._play("Four mails are made: but for links and one pixel they are as they were.", self._make)
        mail = self._mails.get(ADA) if self._steps[0].good else None
        link = _telling(mail.links) if mail else None
        if mail:
            for claim, act in (*self._opens(), *(self._clicks(link) if link else ()), *self._ways_out()):
                await self._play(claim, act)
        return Outcome(
            steps=tuple(self._steps),
            mail=mail,
            link=mail.hrefs[link.number] if mail and link else None,
            events=self._events,
            suppressions=self._suppressions,
        )

    def _opens(self) -> Sequence[tuple[str, _Act]]:
        return (
            ("Ada opens hers on a Mac: the picture comes.", partial(self._open, ADA, readers.APPLE_MAIL, "human")),
            (
                "Ben opens his in Gmail: Google fetches the picture for him.",
                partial(self._open, BEN, readers.GMAIL_PROXY, "human"),
            ),
            (
                "Apple fetches Cleo's picture: whether she reads, nobody can know.",
                partial(self._open, CLEO, readers.APPLE_PRIVACY, "unknown"),
            ),
        )

    def _clicks(self, link: LinkReported) -> Sequence[tuple[str, _Act]]:
        return (
            (
                "Ada follows a link on her phone, exactly to where the sender meant.",
                partial(self._click, ADA, link, readers.SAFARI, "human"),
            ),
            (
                "A link checker follows Dora's link: it is led on like anybody.",
                partial(self._click, DORA, link, readers.LINK_CHECKER, "machine"),
            ),
            (
                "A scanner asks for the same link with HEAD: it is told the same.",
                partial(self._follow, "HEAD", DORA, link, readers.SCANNER),
            ),
        )

    def _ways_out(self) -> Sequence[tuple[str, _Act]]:
        return (
            ("A forged link leads nowhere; a forged pixel looks like any other.", self._forge),
            ("A scanner opens Dora's unsubscribe page: a look changes nothing.", self._look),
            ("Dora leaves by her mail program's button (RFC 8058): one POST is enough.", self._leave),
            ("The sender asks whom it may write to: Dora no more, the others still.", self._ask),
            ("The sender writes to Dora all the same, and is refused.", self._refuse),
            ("The feed has each open, click and opt-out, and no look and no forgery.", self._read_feed),
        )

    async def _play(self, claim: str, act: _Act) -> None:
        flaw, self._table = None, None
        try:
            await act()
        except _FLAWS as error:
            flaw = str(error) or type(error).__name__
        number, exchanges = len(self._steps) + 1, self._wire.taken()
        step = Step(number=number, claim=claim, flaw=flaw, exchanges=exchanges, table=self._table)
        self._steps.append(step)
        self._tell(step)

    async def _make(self) -> None:
        for reader in READERS:
            answer = await self._sender.make(reader, self._html)
            expect_status(answer, 201)
            self._mails[reader] = mail = msgspec.json.decode(answer.content, type=Mail)
            self._table = table_of_links(mail.links)
            check_mail(mail, self._html)

    async def _open(self, reader: Reader, program: Program, verdict: str) -> None:
        self._traces.append(_Trace("opened", reader.email, verdict))
        answer = await self._get(self._mails[reader].open_url, program)
        self._picture = answer.content
        expect_status(answer, 200)
        expect_header(answer, "content-type", "image/gif")
        expect("no-store" in answer.headers.get("cache-control", ""), "a cache may keep the picture")
        expect(answer.content.startswith(b"GIF89a"), "the picture is no GIF")
        expect(len(answer.content) == _PIXEL_BYTES, f"the picture has {len(answer.content)} bytes, not {_PIXEL_BYTES}")

    async def _click(self, reader: Reader, link: LinkReported, program: Program, verdict: str) -> None:
        self._traces.append(_Trace("clicked", reader.email, verdict, url=link.url))
        await self._follow("GET", reader, link, program)

    async def _follow(self, method: str, reader: Reader, link: LinkReported, program: Program) -> None:
        answer = await self._get(self._mails[reader].hrefs[link.number], program, method)
        expect_status(answer, 302)
        expect_header(answer, "location", link.url)

    async def _forge(self) -> None:
        mail = self._mails[BEN]
        expect_status(await self._get(forged_link(mail, _BAIT), readers.FORGER), 404)
        picture = await self._get(forged_pixel(mail), readers.FORGER)
        expect_status(picture, 200)
        expect(picture.content == self._picture, "the picture shows that it was asked for with a forged link")

    async def _look(self) -> None:
        expect_status(await self._get(self._mails[DORA].unsubscribe_url, readers.SCANNER), 200)
        (dora,) = await self._sender.check([DORA])
        expect(dora.allowed, "the look unsubscribed her")

    async def _leave(self) -> None:
        self._traces.append(_Trace("unsubscribed", DORA.email, "human", method="one_click"))
        headers = {
            "User-Agent": readers.IPHONE_MAIL.user_agent,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        url = self._mails[DORA].one_click_url
        answer = await self._wire.send("POST", url, _ONE_CLICK, headers=headers, content=_ONE_CLICK.encode())
        expect_status(answer, 200)

    async def _ask(self) -> None:
        self._suppressions = await self._sender.check(READERS)
        self._table = table_of_suppressions(self._suppressions)
        allowed = [one.recipient for one in self._suppressions if one.allowed]
        wanted = [reader.email for reader in READERS if reader is not DORA]
        expect(allowed == wanted, f"it may write to {', '.join(allowed) or 'nobody'}")

    async def _refuse(self) -> None:
        answer = await self._sender.make(DORA, self._html)
        expect_status(answer, 409)
        expect(problem_of(answer) == "recipient-suppressed", "the refusal does not say why")

    async def _read_feed(self) -> None:
        self._events = await self._sender.follow()
        self._table = table_of_events(self._events)
        numbers = [event.sequence for event in self._events]
        expect(numbers == list(range(1, len(numbers) + 1)), "the events are not numbered from 1 without a gap")
        _expect_traces([_trace_of(event) for event in self._events], self._traces)

    async def _get(self, url: str, program: Program, method: str = "GET") -> httpx.Response:
        return await self._wire.send(method, url, program.name, headers={"User-Agent": program.user_agent})


def _telling(links: Sequence[LinkReported]) -> LinkReported | None:
    """A tracked link in which something could get lost on the way, if there is one, or the first."""
    tracked = [link for link in links if link.tracked]
    return next((link for link in tracked if "?" in link.url or "#" in link.url), next(iter(tracked), None))


def _trace_of(event: Event) -> _Trace:
    return _Trace(event.type, event.recipient.email, event.verdict.value, event.url, event.method)


def _expect_traces(found: Sequence[_Trace], wanted: Sequence[_Trace]) -> None:
    missing, more = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    named = [f"missing: {_named(trace)}" for trace in missing] + [
        f"more than there should be: {_named(trace)}" for trace in more
    ]
    expect(not named, "; ".join(named))
    expect(list(found) == list(wanted), "the events are not in the order in which they happened")


def _named(trace: _Trace) -> str:
    return f"{trace.type} of {trace.email} ({trace.verdict})"
