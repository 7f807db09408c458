"""The picture shows and the link leads on, whoever asks and whatever is recorded of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, NoReturn

import ada_url
import pytest

from tests.web.serving import (
    BASE_URL,
    FIREFOX,
    READER,
    SAFE,
    SHOP,
    Customer,
    Raw,
    Served,
    ask,
    click_of,
    path_of,
    token_of,
)
from tracker.domain.destinations import judge_destination
from tracker.domain.events import Entry
from tracker.domain.keys import Keyring, Purpose, new_secret
from tracker.domain.links import Links, sign
from tracker.domain.meters import Rate
from tracker.storage.blocks import Blocks
from tracker.storage.installation import files_of
from tracker.web.pages import Pages
from tracker.web.strangers import Strangers
from tracker.web.tallies import Tally
from tracker.web.tracking import PIXEL, Tracking
from tracker.workers.stops import StopList
from tracker.workers.writer import EventWriter

pytestmark = pytest.mark.anyio

GIF = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")

DESTINATIONS = [
    SHOP,
    "https://shop.example.com/#top",
    "https://shop.example.com/a{b}c|d^e`f",
    "https://shop.example.com/?q={a}|b'c\"d",
    "https://shop.example.com/%7Ea%2fb?c=%20+d",
    "https://shop.example.com/#frag{ment}|'x\"<y>",
    "https://münchen.example/straße?größe=1",
    "HTTPS://Shop.EXAMPLE.com:443/../a/./b?x=[1]&y=\\z",
    "https://shop.example.com/a b\tc\nd",
    "https://[2001:DB8::1]:8443/;a=1,2",
    "https://shop.example.com/?utm=@user:pass",
]


class Tokens(NamedTuple):
    """Pixel tokens by what is true of them; each is fetched in the same way."""

    by_name: dict[str, str]


@pytest.fixture
async def tokens(served: Served, customer: Customer) -> Tokens:
    made = await customer.make()
    theirs = await (await served.customer("Rook")).make()
    own = token_of(made["open_url"])
    payload, _, signature = own.partition(".")
    other = Links(Keyring({1: new_secret()}))
    return Tokens(
        {
            "valid": own,
            "forged": f"{payload}.{'A' * len(signature)}",
            "cut": own[:-1],
            "stretched": f"{own}=",
            "another account's": token_of(theirs["open_url"]),
            "an account nobody knows": served.links.sign_open(b"unknown!", bytes(16)),
            "a message nobody knows": served.links.sign_open(customer.id, bytes(16)),
            "another installation's": other.sign_open(customer.id, bytes(16)),
            "for a click": token_of(click_of(made)),
            "for an opt-out": token_of(made["unsubscribe_url"]),
            "too long": "A" * 5_000,
            "not ASCII": "ä" * 57,
            "a path": "../../etc/passwd",
            "empty": "",
        }
    )


def test_pixel_is_the_smallest_whole_gif() -> None:
    """43 bytes: one transparent pixel, with the end code that the shorter copies lack (A3.1)."""
    assert PIXEL == GIF
    assert len(PIXEL) == 43
    assert PIXEL[:10] == b"GIF89a\x01\x00\x01\x00"
    assert PIXEL[-6:] == bytes((2, 2, 0x44, 0x01, 0, 0x3B))


async def test_pixel_is_the_same_for_every_token(served: Served, tokens: Tokens) -> None:
    """Status, header fields and bytes say nothing about whose a token is, or whether it is anybody's (A3.3, B-8)."""
    for method in ("GET", "HEAD"):
        answers = [await ask(served.app, method, f"/o/{token}.gif") for token in tokens.by_name.values()]
        assert answers == [answers[0]] * len(tokens.by_name)
        assert answers[0].status == 200
        assert answers[0].body == GIF


async def test_pixel_sends_these_header_fields_and_no_other(served: Served, tokens: Tokens) -> None:
    """Nothing keeps it, nothing learns from it, and web mail in isolation still shows it (A3.2, A3.4)."""
    answer = await ask(served.app, "GET", f"/o/{tokens.by_name['valid']}.gif", headers=[(b"range", b"bytes=0-3")])
    assert answer.status == 200
    assert answer.fields == {
        "content-type": "image/gif",
        "content-length": "43",
        "cache-control": "no-store, no-cache, max-age=0, private",
        "cross-origin-resource-policy": "cross-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


async def test_redirect_sends_these_header_fields_and_no_other(standing: Served, resident: Customer) -> None:
    """302, since a 301 would be kept and later clicks be lost; no body and no referrer (A4.1, A4.6, A4.7)."""
    made = await resident.make()
    for method in ("GET", "HEAD"):
        answer = await ask(standing.app, method, path_of(click_of(made)))
        assert answer == Raw(302, answer.headers, b"")
        assert answer.fields == {
            **SAFE,
            "location": SHOP,
            "content-length": "0",
            "content-security-policy": "default-src 'none'",
        }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("place", ["o", "c"])
async def test_other_methods_are_refused_with_those_allowed(
    standing: Served, resident: Customer, method: str, place: str
) -> None:
    """405 with Allow, for no cache either, and nothing is recorded (A2.2, A2.3)."""
    made = await resident.make()
    url = made["open_url"] if place == "o" else click_of(made)
    answer = await ask(standing.app, method, path_of(url))
    assert answer.status == 405
    assert answer.fields["allow"] == "GET, HEAD"
    assert answer.fields["content-type"] == "text/html; charset=utf-8"
    assert SAFE.items() <= answer.fields.items()
    assert await resident.events(message=made["id"]) == []


@pytest.mark.parametrize("url", DESTINATIONS)
async def test_click_leads_to_the_signed_url_byte_for_byte(standing: Served, resident: Customer, url: str) -> None:
    """The reader gets where a browser would have gone, fragment, braces, pipes and quotes included (A4.4, A4.5)."""
    destination = judge_destination(url)
    assert destination == ada_url.URL(url).href
    token = standing.links.sign_click(resident.id, bytes(16), 0, destination)
    answer = await ask(standing.app, "GET", f"/c/{token}")
    assert answer.status == 302
    assert dict(answer.headers)[b"location"] == destination.encode("ascii")


BAD_CLICKS = {
    "empty": "",
    "words": "not-a-token",
    "a URL": "https://evil.example/",
    "a million characters": "A" * 1_000_000,
    "not ASCII": "é" * 100,
    "dots": "." * 100,
    "slashes": "//evil.example/",
}


@pytest.mark.parametrize("token", BAD_CLICKS.values(), ids=BAD_CLICKS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_bad_click_gets_a_page_and_no_redirect(standing: Served, token: str, method: str) -> None:
    """There is no fallback to a URL in the request: that would be an open redirect (A4.8, B-4)."""
    answer = await ask(standing.app, method, f"/c/{token}", query=b"url=https://evil.example/&u=https://evil.example/")
    assert answer.status == 404
    assert "location" not in answer.fields
    assert SAFE.items() <= answer.fields.items()
    assert b"This link does not work" in answer.body


@pytest.mark.parametrize("purpose", [Purpose.OPEN, Purpose.UNSUBSCRIBE, Purpose.PREFERENCES, Purpose.CURSOR])
async def test_signature_for_another_purpose_leads_nowhere(
    standing: Served, resident: Customer, purpose: Purpose
) -> None:
    """Each purpose has its own key: what was signed for one says nothing to another (B-1)."""
    body = bytes(18) + b"https://shop.example.com/"
    token = sign(standing.links._keyring, purpose, resident.id, body)
    assert (await ask(standing.app, "GET", f"/c/{token}")).status == 404


@pytest.mark.parametrize(
    "destination",
    ["javascript:alert(1)", "https://a@evil.example/", "//evil.example", "https://", "https://x/\r\nA: b"],
)
async def test_signed_destination_is_judged_again(standing: Served, resident: Customer, destination: str) -> None:
    """Even a right signature leads to the web only, and never breaks the answer in two (B-12)."""
    token = sign(standing.links._keyring, Purpose.CLICK, resident.id, bytes(18) + destination.encode())
    answer = await ask(standing.app, "GET", f"/c/{token}")
    assert answer.status == 404
    assert "location" not in answer.fields


async def test_nothing_in_the_request_moves_the_destination(standing: Served, resident: Customer) -> None:
    """The target is what was signed: no parameter, no header and no host has a say (A4.2, B-5)."""
    made = await resident.make()
    answer = await ask(
        standing.app,
        "GET",
        path_of(click_of(made)),
        query=b"url=https://evil.example/&u=//evil.example&redirect=https://evil.example&next=%2F%2Fevil.example",
        headers=[(b"host", b"evil.example"), (b"x-forwarded-host", b"evil.example"), (b"x-original-url", b"/")],
    )
    assert answer.fields["location"] == SHOP


async def test_open_and_click_become_events(served: Served, customer: Customer) -> None:
    """What a reader does shows with who, where and with what, for the customer whose mail it was."""
    made = await customer.make(topic="offers", metadata={"segment": "b"})
    headers = {"User-Agent": FIREFOX, "Referer": "https://webmail.example/inbox"}
    assert (await served.reader.get(made["open_url"], headers=headers)).status_code == 200
    assert (await served.reader.get(click_of(made), headers=headers)).status_code == 302
    opened, clicked = await customer.events()
    assert (opened["type"], clicked["type"]) == ("opened", "clicked")
    assert (opened["url"], opened["link"]) == (None, None)
    assert (clicked["url"], clicked["link"]) == (SHOP, 0)
    for event in (opened, clicked):
        assert event["message_id"] == made["id"]
        assert event["recipient"] == made["recipient"]
        assert (event["campaign"], event["topic"], event["metadata"]) == ("spring-sale", "offers", {"segment": "b"})
        assert event["method"] is None
        assert event["verdict"] == {"value": "human", "class": None, "signals": []}
        assert event["client"] == {
            "user_agent": FIREFOX,
            "name": "Firefox",
            "os": "Linux",
            "device": "desktop",
            "ip": "203.0.113.0",
            "proxied": False,
            "referrer": "https://webmail.example/inbox",
        }


async def test_head_and_forgery_record_nothing(served: Served, customer: Customer, tokens: Tokens) -> None:
    """A link checker's HEAD is no open, and a token that is not ours counts for nobody (A2.1)."""
    made = await customer.make()
    click = click_of(made)
    await served.reader.head(made["open_url"])
    await served.reader.head(click)
    for name in ("forged", "another installation's", "for a click", "too long"):
        await ask(served.app, "GET", f"/o/{tokens.by_name[name]}.gif")
    await served.reader.get(f"{click[:-4]}AAAA")
    assert served.inbox("select count(*) from journal") == [(0,)]
    await served.reader.get(made["open_url"])
    assert [event["type"] for event in await customer.events()] == ["opened"]


async def test_every_open_is_an_event(served: Served, customer: Customer) -> None:
    """The same pixel twice is two events; nothing is dropped before it is judged."""
    made = await customer.make()
    for _ in range(3):
        await served.reader.get(made["open_url"])
    # Those of one millisecond stand in the list in the order of their ids.
    assert sorted(event["sequence"] for event in await customer.events()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ],
)
async def test_prefetch_is_answered_and_recorded_as_such(
    served: Served, customer: Customer, field: str, value: str
) -> None:
    """A browser that asks ahead is led on like a person, and counted as a machine (A3.6)."""
    made = await customer.make()
    answer = await served.reader.get(click_of(made), headers={field: value})
    assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
    (event,) = await customer.events()
    assert event["verdict"] == {"value": "machine", "class": "prefetch", "signals": ["prefetch"]}


async def test_words_in_a_referrer_are_no_prefetch(served: Served, customer: Customer) -> None:
    """Web mail has folders and panes of such names; only the headers of that purpose speak of it."""
    made = await customer.make()
    await served.reader.get(made["open_url"], headers={"Referer": "https://webmail.example/preview/prefetch"})
    (event,) = await customer.events()
    assert event["verdict"]["value"] == "human"


async def test_what_a_client_says_of_itself_is_cut_and_cleaned(served: Served, customer: Customer) -> None:
    """Long or broken header fields cannot fill the disk or break a database (B-28)."""
    made = await customer.make()
    headers = [
        (b"user-agent", b"Mozilla\x00\xff" + b"x" * 9_000),
        (b"referer", b"https://a.example/\x00" + b"y" * 9_000),
    ]
    await ask(served.app, "GET", path_of(made["open_url"]), headers=headers)
    ((user_agent, referrer),) = served.inbox("select user_agent, referrer from journal")
    assert user_agent == "Mozillaÿ" + "x" * 503
    assert referrer == "https://a.example/" + "y" * 481


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (READER, "203.0.113.0"),
        ("2001:db8:1234:5678::9", "2001:db8:1234::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("not an address", None),
        ("203.0.113.77.example", None),
        ("<203.0.113.77>.1", None),
        ("unix", None),
        (None, None),
    ],
)
async def test_only_the_network_of_a_reader_is_kept(
    served: Served, customer: Customer, address: str | None, network: str | None
) -> None:
    """A /24 or a /48, and nothing of what is no address."""
    made = await customer.make()
    client = (address, 1) if address else None
    assert (await ask(served.app, "GET", path_of(made["open_url"]), client=client)).status == 200
    assert served.inbox("select network from journal") == [(network,)]


async def test_full_address_of_a_reader_never_reaches_the_disk(served: Served, customer: Customer) -> None:
    """Not in a table, not in a log of SQLite's, not for a moment: no file holds its bytes."""
    made = await customer.make()
    for url in (made["open_url"], click_of(made)):
        await served.reader.get(url)
    await served.reader.post(made["unsubscribe_url"])
    assert len(await customer.events()) == 3
    files = b"".join(path.read_bytes() for path in served.files.main.parent.iterdir())
    assert b"203.0.113.0" in files
    for written in (READER, READER.encode("utf-16-le").decode("latin-1"), "cb00714d"):
        assert written.encode("latin-1") not in files
    assert bytes(map(int, READER.split("."))) not in files


@pytest.fixture
async def failing() -> AsyncIterator[Tracking]:
    """The hit routes in front of a storage that fails in a way nobody foresaw."""

    async def append(entries: Sequence[Entry]) -> NoReturn:
        raise LookupError("a surprise")

    async def beat() -> NoReturn:
        raise LookupError("another")

    async def nothing(scope: Any, receive: Any, send: Any) -> NoReturn:
        raise AssertionError("not a hit")

    links = Links(Keyring({1: new_secret()}))
    async with EventWriter(append, beat, retry_s=0.01) as writer:
        stops = StopList(Blocks(files_of("sqlite:///nowhere.db").main_database()))
        pages = Pages(None)
        yield Tracking(nothing, links, writer, stops, Strangers(Rate(1, 1), pages), pages, Tally())


async def test_picture_shows_whatever_fails(failing: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    """An error nobody foresaw is a 503 with the picture, told once in the log without its token."""
    app: Any = failing
    token = failing._links.sign_open(bytes(8), bytes(16))
    with caplog.at_level(logging.DEBUG):
        first = await ask(app, "GET", f"/o/{token}.gif")
        second = await ask(app, "GET", f"/o/{token}.gif")
        forged = await ask(app, "GET", "/o/forged.gif")
    assert first == second == forged
    assert (first.status, first.body) == (503, GIF)
    assert "LookupError" in caplog.text
    assert token not in caplog.text


async def test_link_leads_on_whatever_fails(failing: Tracking) -> None:
    """The reader gets to the page, whatever happens to us."""
    app: Any = failing
    token = failing._links.sign_click(bytes(8), bytes(16), 0, SHOP)
    async with asyncio.timeout(1):
        answer = await ask(app, "GET", f"/c/{token}")
    assert (answer.status, answer.fields["location"]) == (302, SHOP)


async def test_links_stand_on_the_base_url(resident: Customer) -> None:
    """Path only, nothing in the query, and no longer than the budget."""
    made = await resident.make()
    urls = (made["open_url"], click_of(made), made["unsubscribe_url"], made["preferences_url"])
    assert all(url.startswith(f"{BASE_URL}/") and "?" not in url and "#" not in url for url in urls)
    assert len(token_of(made["open_url"])) <= 64
    assert len(token_of(click_of(made))) <= 64 + 4 * len(SHOP) / 3
    assert max(len(token_of(made[f"{name}_url"])) for name in ("unsubscribe", "preferences")) <= 80
