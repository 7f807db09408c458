"""The pages in a real browser: they fit a small phone, break no policy, and work without scripts."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tracker.web.pages import Pages, Parties

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Longer in one word than a small phone is wide: such names and addresses exist.
SENDER = "Horticultural-and-Antiquarian-Booksellers’-Co-operative GartenbuchhandlungsgenossenschaftExampleton"
ADDRESS = "b•••@e•••.international-botanical-gardens.example"
PARTIES = Parties(sender=SENDER, address=ADDRESS)
SINCE = 1_795_341_600_000
CONTACT = "https://tracker.example.com/report-abuse-of-this-service?reason=unwanted-mail"

SMALL_PHONE, PHONE, DESK = (320, 568), (390, 844), (1280, 800)
every_page = pytest.mark.parametrize(
    "path",
    [
        "/",
        "/u/token",
        "/done",
        "/in",
        "/out",
        "/undone",
        "/late",
        "/not-undone",
        "/problem",
        "/404",
        "/410",
        "/405",
        "/503",
        "/500",
    ],
)


class Site:
    """A host that shows each page under its path, and keeps the bodies posted to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []
        self.stores = True
        self._pages = Pages(CONTACT)

    def app(self) -> Starlette:
        answers = {
            "/": self._pages.home(),
            "/done": self._pages.unsubscribed(PARTIES, preferences="/p/token", undo=True),
            "/in": self._pages.subscribed(PARTIES, unsubscribe="/u/token", stopped=False),
            "/out": self._pages.opted_out(PARTIES, since=SINCE, undo_until=SINCE),
            "/undone": self._pages.undone(PARTIES, stopped=False),
            "/late": self._pages.too_late(PARTIES, since=SINCE),
            "/not-undone": self._pages.unreachable(5, undoing=True),
            "/problem": self._pages.problem(title=SENDER, status=400, meaning=SENDER, remedy=SENDER),
            "/404": self._pages.not_found(),
            "/410": self._pages.blocked(),
            "/405": self._pages.method_not_allowed("GET"),
            "/503": self._pages.unavailable(5),
            "/500": self._pages.failed(),
            "/thief": HTMLResponse('<iframe src="/u/token"></iframe>'),
        }
        routes = [Route(path, answer) for path, answer in answers.items()]
        return Starlette(routes=[*routes, Route("/u/token", self.unsubscribe, methods=["GET", "POST"])])

    async def unsubscribe(self, request: Request) -> Response:
        if request.method != "POST":
            return self._pages.unsubscribe(PARTIES)
        self.bodies.append(await request.body())
        if not self.stores:
            return self._pages.unavailable(5)
        return self._pages.unsubscribed(PARTIES, preferences="/p/token", undo=True)


@contextmanager
def serving(app: Starlette, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    # The socket listens before the server runs: the first request waits in its queue, not the test.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site = Site(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with serving(site.app(), listener):
            yield site


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    reason = "install the extra 'browser' to see the pages as a person does"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the PATH: install it to see the pages as a person does")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def looking(browser: "Browser", size: tuple[int, int], *, dark: bool = False, scripts: bool = True) -> Iterator["Page"]:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def background(page: "Page", selector: str) -> str:
    return str(page.eval_on_selector(selector, "node => getComputedStyle(node).backgroundColor"))


def test_button_opts_out_without_scripts(site: Site, browser: "Browser") -> None:
    """One press, one POST to the same URL, one confirmation."""
    with looking(browser, PHONE, scripts=False) as page:
        page.goto(f"{site.url}/u/token")
        page.get_by_role("button", name="Unsubscribe").click()
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
        assert page.url == f"{site.url}/u/token"
    assert site.bodies == [b"page=1"]


def test_button_is_reached_by_keyboard_and_shows_it(site: Site, browser: "Browser") -> None:
    """The first Tab finds the button, a ring shows where one is, Enter presses it."""
    with looking(browser, DESK) as page:
        page.goto(f"{site.url}/u/token")
        page.keyboard.press("Tab")
        assert page.eval_on_selector("button:focus", "node => getComputedStyle(node).outlineWidth") == "3px"
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
    assert site.bodies == [b"page=1"]


def test_a_store_that_fails_is_tried_again_with_the_same_press(site: Site, browser: "Browser") -> None:
    """The page that regrets has the button that repeats the request."""
    site.stores = False
    with looking(browser, PHONE, scripts=False) as page:
        page.goto(f"{site.url}/u/token")
        page.get_by_role("button", name="Unsubscribe").click()
        page.get_by_role("heading", name="Not stored yet").wait_for()
        site.stores = True
        page.get_by_role("button", name="Try again").click()
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
    assert site.bodies == [b"page=1", b"page=1"]


@every_page
def test_page_breaks_no_policy_and_asks_for_nothing_more(site: Site, browser: "Browser", path: str) -> None:
    """The browser applies the style, has nothing to complain about, and sends one request."""
    complaints: list[str] = []
    requests: list[str] = []
    with looking(browser, DESK) as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{site.url}{path}")
        assert background(page, "main") == "rgb(255, 254, 250)"
    assert [c for c in complaints if "the server responded with a status of" not in c] == []
    assert requests == [f"{site.url}{path}"]


@every_page
@pytest.mark.parametrize("size", [SMALL_PHONE, PHONE, DESK], ids=str)
def test_page_never_scrolls_sideways(site: Site, browser: "Browser", path: str, size: tuple[int, int]) -> None:
    """Long names and addresses wrap, on a phone of 320 pixels too (WCAG 2.2, 1.4.10)."""
    with looking(browser, size) as page:
        page.goto(f"{site.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


@pytest.mark.parametrize("path", ["/done", "/out", "/undone", "/late", "/503"])
def test_short_words_do_not_break_at_their_hyphen(site: Site, browser: "Browser", path: str) -> None:
    """On a phone "Your opt-" was a line of its own."""
    with looking(browser, (360, 740)) as page:
        page.goto(f"{site.url}{path}")
        lines = page.eval_on_selector_all(".whole", "nodes => nodes.map(node => node.getClientRects().length)")
        assert set(lines) == {1}
        assert page.locator("h1 .whole").count() == (path == "/undone")


@pytest.mark.parametrize("path", ["/u/token", "/503", "/done", "/in", "/out", "/not-undone"])
@pytest.mark.parametrize("size", [SMALL_PHONE, PHONE, DESK], ids=str)
def test_button_is_large_enough_for_a_thumb(site: Site, browser: "Browser", path: str, size: tuple[int, int]) -> None:
    """44 pixels each way (WCAG 2.2, 2.5.5)."""
    with looking(browser, size) as page:
        page.goto(f"{site.url}{path}")
        box = page.get_by_role("button").bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44


@every_page
def test_page_is_dark_at_night(site: Site, browser: "Browser", path: str) -> None:
    """The reader's own setting chooses the colours."""
    with looking(browser, PHONE, dark=True) as page:
        page.goto(f"{site.url}{path}")
        assert background(page, "body") == "rgb(17, 21, 22)"


def test_page_is_not_shown_in_a_frame(site: Site, browser: "Browser") -> None:
    """Nobody can lay the button under another page's (B-30), not even this host."""
    with looking(browser, DESK) as page:
        page.goto(f"{site.url}/thief")
        (frame,) = page.main_frame.child_frames
        assert frame.get_by_role("button").count() == 0
