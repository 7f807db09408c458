"""The story holds on the real server, and each of its steps notices a server that does otherwise."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from tests.web.serving import BASE_URL, Served, serving
from tracker.demo.newsletter import Newsletter, read_newsletter
from tracker.demo.steps import Outcome, Step
from tracker.demo.story import Story
from tracker.demo.wire import Wire, connect

pytestmark = pytest.mark.anyio

Ask = Callable[[httpx.Request], Awaitable[httpx.Response]]
Lie = Callable[[httpx.Request, Ask], Awaitable[httpx.Response]]

MAKING, OPENS, CLICKS, HEAD, FORGING, LOOK = 1, [2, 3, 4], [5, 6], 7, 8, 9
LEAVING, ASKING, WRITING, FEED = 10, 11, 12, 13


class Between(httpx.AsyncBaseTransport):
    """Stands between the story and the real server, and notes which hosts are asked."""

    def __init__(self, served: Served, lie: Lie) -> None:
        self._truth = httpx.ASGITransport(served.app)
        self._lie = lie
        self.hosts: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.hosts.add(request.url.host)
        return await self._lie(request, self._ask)

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        answer = await self._truth.handle_async_request(request)
        await answer.aread()
        return answer


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("served")) as new:
        yield new


async def told(served: Served, lie: Lie, newsletter: Newsletter | None = None) -> tuple[Outcome, Between]:
    """The story as it goes with this lie, for a new account."""
    customer, between = await served.customer(), Between(served, lie)
    heard: list[Step] = []
    async with connect(BASE_URL, between) as client:
        outcome = await Story(Wire(client), newsletter or read_newsletter(), customer.key, heard.append).play()
    assert heard == list(outcome.steps)
    return outcome, between


def page(html: str) -> Newsletter:
    return Newsletter(source="a test", sender="A Test", html=html)


def answer_of(status: int, content: bytes = b"", **headers: str) -> httpx.Response:
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=written, content=content)


def asked_as(method: str, request: httpx.Request) -> httpx.Request:
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    return httpx.Request(method, request.url, headers=headers)


async def no_lie(request: httpx.Request, ask: Ask) -> httpx.Response:
    return await ask(request)


async def no_pixel(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    return answer_of(404) if request.url.path.startswith("/o/") else answer


async def caches_the_pixel(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    if request.url.path.startswith("/o/"):
        answer.headers["cache-control"] = "public, max-age=60"
    return answer


async def no_gif(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    if request.url.path.startswith("/o/"):
        return answer_of(200, b"\x89PNG".ljust(43), content_type="image/gif", cache_control="no-store")
    return answer


async def leads_elsewhere(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    if answer.is_redirect:
        answer.headers["location"] = answer.headers["location"].replace("&", "&amp;")
    return answer


async def counts_head(request: httpx.Request, ask: Ask) -> httpx.Response:
    return await ask(asked_as("GET", request) if request.method == "HEAD" else request)


async def follows_forgeries(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    forged = request.url.path.startswith("/c/") and answer.status_code == 404
    return answer_of(302, location="https://phishing.example/login") if forged else answer


async def counts_forgeries(request: httpx.Request, ask: Ask) -> httpx.Response:
    """What the story turned round is turned back; a signature that was right makes no event so."""
    path = request.url.path
    if path.startswith("/o/"):
        front, dot, signature = path.removesuffix(".gif").rpartition(".")
        await ask(httpx.Request("GET", request.url.copy_with(path=f"{front}{dot}{signature[::-1]}.gif")))
    return await ask(request)


async def looks_unsubscribe(request: httpx.Request, ask: Ask) -> httpx.Response:
    if request.url.path.startswith("/u/") and request.method == "GET":
        await ask(asked_as("POST", request))
    return await ask(request)


async def forgets_who_left(request: httpx.Request, ask: Ask) -> httpx.Response:
    return answer_of(200) if request.url.path.startswith("/u/") and request.method == "POST" else await ask(request)


async def redirects_who_leaves(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    leaving = request.url.path.startswith("/u/") and request.method == "POST"
    return answer_of(303, location="/goodbye") if leaving else answer


async def suppresses_everybody(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    if answer.content.startswith(b'{"data":[{"recipient":"ada'):
        return answer_of(200, answer.content.replace(b"true", b"false"), content_type="application/json")
    return answer


async def makes_refused_mails(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    return answer_of(201, b"{}", content_type="application/json") if answer.status_code == 409 else answer


async def loses_the_last_event(request: httpx.Request, ask: Ask) -> httpx.Response:
    return without_event(-1, request, await ask(request))


async def loses_the_first_event(request: httpx.Request, ask: Ask) -> httpx.Response:
    return without_event(0, request, await ask(request))


def without_event(number: int, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    if request.url.path != "/v1/events/feed":
        return answer
    feed = answer.json()
    del feed["data"][number]
    return answer_of(200, json.dumps(feed).encode(), content_type="application/json")


async def takes_machines_for_people(request: httpx.Request, ask: Ask) -> httpx.Response:
    answer = await ask(request)
    if request.url.path != "/v1/events/feed":
        return answer
    return answer_of(200, answer.content.replace(b'"machine"', b'"human"'), content_type="application/json")


async def tidies_the_mail(request: httpx.Request, ask: Ask) -> httpx.Response:
    return in_messages("</body>", "</body> ", await ask(request))


async def offers_no_button(request: httpx.Request, ask: Ask) -> httpx.Response:
    return in_messages("List-Unsubscribe=One-Click", "", await ask(request))


async def counts_links_from_one(request: httpx.Request, ask: Ask) -> httpx.Response:
    return in_messages('"number":0', '"number":13', await ask(request))


async def tracks_elsewhere(request: httpx.Request, ask: Ask) -> httpx.Response:
    return in_messages(f"{BASE_URL}/o/", "https://elsewhere.example/o/", await ask(request))


def in_messages(old: str, new: str, answer: httpx.Response) -> httpx.Response:
    """The answer, with something else in the message that was made."""
    if answer.status_code != 201:
        return answer
    return answer_of(201, answer.text.replace(old, new).encode(), content_type="application/json")


async def says_nonsense(_: httpx.Request, _ask: Ask) -> httpx.Response:
    return answer_of(201, b"[]", content_type="application/json")


async def is_gone(request: httpx.Request, _ask: Ask) -> httpx.Response:
    raise httpx.ConnectError("All connection attempts failed", request=request)


async def test_every_step_holds_on_the_real_server(served: Served) -> None:
    """Opens, clicks and the opt-out are events; looks, HEAD and forgeries are none; nobody follows a redirect."""
    outcome, between = await told(served, no_lie)
    assert [step.flaw for step in outcome.steps] == [None] * 13
    assert [event.type for event in outcome.events] == ["opened"] * 3 + ["clicked"] * 2 + ["unsubscribed"]
    assert [one.allowed for one in outcome.suppressions] == [True, True, True, False]
    assert between.hosts == {"t.example.com"}
    assert outcome.link is not None
    assert outcome.mail is not None
    assert f'href="{outcome.link}"' in outcome.mail.html


async def test_the_story_shows_what_was_sent_and_what_came(served: Served) -> None:
    """Of each request the method, the path and the program, of each answer the status and what matters of it."""
    outcome, _ = await told(served, no_lie)
    (click,) = outcome.steps[4].exchanges
    assert (click.method, click.path[:3], click.sent, click.status) == ("GET", "/c/", "Safari, an iPhone", 302)
    assert click.came == "https://larkspur.example.com/bulbs?a=1&b=2#top"
    (refusal,) = outcome.steps[11].exchanges
    assert (refusal.method, refusal.path, refusal.status) == ("POST", "/v1/messages", 409)
    assert refusal.came == "recipient-suppressed"


@pytest.mark.parametrize(
    "html",
    ["", "<p>Hello</p>", '<a href="{{ cta }}">Go</a> <a href="mailto:a@example.com">Write</a> <a href="#top">Up</a>'],
)
async def test_without_a_link_to_track_nobody_clicks(served: Served, html: str) -> None:
    """All else of the story holds, and it says why there are no clicks."""
    outcome, _ = await told(served, no_lie, page(html))
    assert not outcome.failed
    assert [event.type for event in outcome.events] == ["opened"] * 3 + ["unsubscribed"]
    assert outcome.link is None
    table = outcome.steps[0].table
    assert table is not None
    assert table.sentence == "There is no link in it that can be tracked, so nobody clicks in this story."


@pytest.mark.parametrize(
    ("lie", "failed"),
    [
        (no_pixel, [*OPENS, FORGING]),
        (caches_the_pixel, OPENS),
        (no_gif, OPENS),
        (leads_elsewhere, [*CLICKS, HEAD]),
        (counts_head, [FEED]),
        (follows_forgeries, [FORGING]),
        (counts_forgeries, [FEED]),
        (looks_unsubscribe, [LOOK]),
        (forgets_who_left, [ASKING, WRITING, FEED]),
        (redirects_who_leaves, [LEAVING]),
        (suppresses_everybody, [ASKING]),
        (makes_refused_mails, [WRITING]),
        (loses_the_last_event, [FEED]),
        (loses_the_first_event, [FEED]),
        (takes_machines_for_people, [FEED]),
        (tidies_the_mail, [MAKING]),
        (offers_no_button, [MAKING]),
        (counts_links_from_one, [MAKING]),
        (says_nonsense, [MAKING]),
        (is_gone, [MAKING]),
    ],
)
async def test_a_server_that_does_otherwise_is_found_out(served: Served, lie: Lie, failed: list[int]) -> None:
    """By the steps that claim it, and no others; without mails the story ends with its first step."""
    outcome, _ = await told(served, lie)
    assert [step.number for step in outcome.failed] == failed
    assert len(outcome.steps) == (1 if failed == [MAKING] else 13)


async def test_no_other_host_is_asked_whatever_the_server_says(served: Served) -> None:
    """A server that puts links to another host into mails fails the steps that would follow them."""
    outcome, between = await told(served, tracks_elsewhere)
    assert [step.number for step in outcome.failed] == [*OPENS, FORGING, FEED]
    assert "another host" in (outcome.steps[1].flaw or "")
    assert between.hosts == {"t.example.com"}


async def test_a_refusal_is_told_in_the_words_of_the_server(served: Served) -> None:
    """Otherwise one would have to guess what is wrong with the newsletter."""
    outcome, _ = await told(served, no_lie, page("x" * 6_000_000))
    (making,) = outcome.steps
    assert making.flaw is not None
    assert making.flaw.startswith("413 came instead of 201: The body may have at most")
