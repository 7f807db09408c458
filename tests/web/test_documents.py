"""The page that documents the API: all of it, in words, for people."""

import shutil
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from tests.web.serving import BASE_URL, SAFE, Served
from tracker.web.problems import TYPES
from tracker.web.schema_words import SchemaWords

if TYPE_CHECKING:
    from playwright.async_api import Route

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def page(standing: Served) -> str:
    """The page."""
    answer = await standing.reader.get("/docs")
    assert answer.status_code == 200
    return answer.text


@pytest.fixture(scope="module")
async def document(standing: Served) -> dict[str, Any]:
    """What programs read."""
    return dict((await standing.reader.get("/openapi.json")).json())


def text_of(node: LexborNode) -> str:
    return " ".join(node.text().split())


def names_of(article: LexborNode) -> set[str]:
    return {node.text() for node in article.css(".fields dt code")}


def articles(page: str, document: dict[str, Any]) -> Iterator[tuple[LexborNode, str, str, dict[str, Any]]]:
    """What the page says of each operation, with its method and its path."""
    tree = LexborHTMLParser(page)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            (article,) = tree.css(f"article#{operation['operationId']}")
            yield article, method, path, operation


async def test_page_has_every_operation(page: str, document: dict[str, Any]) -> None:
    """Its method, path, scope, summary and description, and a link to it from the list."""
    links = [node.attributes["href"] for node in LexborHTMLParser(page).css("nav li a")]
    for article, method, path, operation in articles(page, document):
        words = text_of(article)
        assert f"{method.upper()} {path} " in words
        assert f"Needs the scope {operation['security'][0]['key'][0]} " in words
        assert operation["summary"] in words
        assert operation["description"] in words or operation["description"] == f"{operation['summary']}."
        assert f"#{operation['operationId']}" in links
    assert len(links) == len(LexborHTMLParser(page).css("article"))


async def test_page_has_parameters_fields_and_statuses(page: str, document: dict[str, Any]) -> None:
    """All that a request may hold, and every answer."""
    schemas = document["components"]["schemas"]
    for article, _, _, operation in articles(page, document):
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        for content in operation.get("requestBody", {}).get("content", {}).values():
            names |= set(schemas[content["schema"]["$ref"].rpartition("/")[2]]["properties"])
        assert names <= names_of(article)
        good = {status for status in operation["responses"] if int(status) < 400}
        assert {node.text()[:3] for node in article.css(".status")} == good


async def test_page_leads_to_the_page_of_every_problem(page: str, standing: Served) -> None:
    """With its status beside its name."""
    links = LexborHTMLParser(page).css(".problems a")
    shown = {text_of(link): link.attributes["href"] or "" for link in links}
    for words, path in shown.items():
        name = path.removeprefix("/problems/")
        assert words == f"{TYPES[name][0]} {name}"
        assert (await standing.reader.get(path)).status_code == 200
    assert set(TYPES) - {path.removeprefix("/problems/") for path in shown.values()} == {"method-not-allowed"}


async def test_page_needs_nothing_but_its_own_style(page: str, standing: Served) -> None:
    """No script, nothing from elsewhere, and a policy that allows neither."""
    tree = LexborHTMLParser(page)
    assert not tree.css("script, link, img, iframe, [style], [onclick]")
    (style,) = tree.css("style")
    digest = b64encode(sha256(style.text().encode()).digest()).decode()
    headers = (await standing.reader.get("/docs")).headers
    assert headers.items() >= SAFE.items()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in headers["content-security-policy"]


async def test_anchors_of_the_page_are_there_once(page: str) -> None:
    """Every link within it leads somewhere."""
    tree = LexborHTMLParser(page)
    ids = [node.attributes["id"] for node in tree.css("[id]")]
    assert len(set(ids)) == len(ids)
    assert {(node.attributes["href"] or "")[1:] for node in tree.css('a[href^="#"]')} <= set(ids)


async def test_fields_are_said_in_words(page: str, document: dict[str, Any]) -> None:
    """Type, need, limits and default of a field, and what lies below it."""
    (article,) = LexborHTMLParser(page).css("article#create_message")
    fields = {text_of(row.css("dt code")[0]): text_of(row) for row in article.css("h4 + .fields > div")}
    assert fields["campaign"].startswith("campaign text required The campaign.")
    assert fields["campaign"].endswith("1 to 100 characters")
    assert fields["recipient.email"].startswith("recipient.email e-mail address required")
    assert fields["tracking.opens"].endswith("true unless given")
    (article,) = LexborHTMLParser(page).css("article#list_events")
    fields = {text_of(row.css("dt code")[0]): text_of(row) for row in article.css("h4 + .fields > div")}
    assert fields["type"].startswith("type text, may be repeated Any of these types. opened, clicked,")
    assert fields["limit"] == "limit whole number How many rows at most. 1 to 1,000; 100 unless given"


def test_kinds_of_items_are_told_apart() -> None:
    """A list whose items are of several kinds says which kind has which field."""
    schemas = {
        "Good": {"type": "object", "properties": {"status": {"enum": ["good"]}, "id": {"type": "string"}}},
        "Bad": {"type": "object", "properties": {"status": {"enum": ["bad"]}, "why": {"type": "integer"}}},
    }
    kinds = [{"$ref": "#/components/schemas/Good"}, {"$ref": "#/components/schemas/Bad"}]
    answer = {"properties": {"data": {"type": "array", "items": {"anyOf": kinds}, "maxItems": 3}}}
    shown = [(field.name, field.type, field.limits, field.only) for field in SchemaWords(schemas).fields(answer)]
    assert shown == [
        ("data", "list of objects", "at most 3 items", ""),
        ("data[].status", "text", "good", "good"),
        ("data[].id", "text", "", "good"),
        ("data[].status", "text", "bad", "bad"),
        ("data[].why", "whole number", "", "bad"),
    ]


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_page_in_a_browser(standing: Served, width: int) -> None:
    """Styled under its own policy, never wider than the screen when all is unfolded, dark at night."""
    reason = "install the extra 'browser' to see the page as a person does"
    playwright_api = pytest.importorskip("playwright.async_api", reason=reason)
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on the PATH: install it to see the page as a person does")
    answer = await standing.reader.get("/docs")
    complaints: list[str] = []
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        shown = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark")
        shown.on("console", lambda message: complaints.append(message.text))

        async def fulfil(route: "Route") -> None:
            await route.fulfill(status=200, headers=dict(answer.headers), body=answer.text)

        await shown.route("**/*", fulfil)
        await shown.goto(f"{BASE_URL}/docs")
        await shown.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert await shown.evaluate("document.documentElement.scrollWidth") == width
        background = await shown.eval_on_selector("body", "node => getComputedStyle(node).backgroundColor")
        await browser.close()
    assert background == "rgb(17, 21, 22)"
    assert complaints == []
