"""A look unsubscribes nobody, one POST is enough, and what it did is final."""

import asyncio
import base64
import zlib
from pathlib import Path
from typing import Any, NoReturn

import pytest
from starlette.applications import Starlette

from tests.web.serving import (
    EMAIL,
    SAFE,
    Customer,
    Served,
    ask,
    path_of,
    serving,
    somebody,
    token_of,
)
from tracker.domain.addresses import address_key
from tracker.domain.keys import Keyring, new_secret
from tracker.domain.links import Links
from tracker.domain.meters import Rate
from tracker.storage.accounts import Accounts
from tracker.storage.journal import Journal
from tracker.storage.messages import Messages
from tracker.storage.opt_outs import OptOuts
from tracker.storage.sqlite import SQLite
from tracker.web.pages import Pages
from tracker.web.persons import Persons
from tracker.web.strangers import Strangers
from tracker.web.tallies import Tally
from tracker.web.unsubscribe import Unsubscribe
from tracker.workers.directory import Directory
from tracker.workers.writer import EventWriter

pytestmark = pytest.mark.anyio

SCANNERS = [
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.1; WOW64; Trident/6.0) Barracuda Sentinel",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "Mimecast URL scanner/1.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0 Safari/537.36",
    "Mozilla/5.0 (compatible; LinkChecker/10.2; +https://linkchecker.example)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "curl/8.5.0",
    "python-requests/2.32.0",
    "",
    "Mozilla/5.0",
]

ONE_CLICK = b"List-Unsubscribe=One-Click"


async def test_looks_of_scanners_change_nothing(standing: Served, resident: Customer) -> None:
    """GET shows a page, HEAD its head, whatever the user agent; neither unsubscribes anybody (A1.10)."""
    email = somebody()
    made = await resident.make(recipient={"email": email})
    before = standing.suppressions()
    for user_agent in SCANNERS:
        for method in ("GET", "HEAD", "GET"):
            answer = await standing.reader.request(method, made["unsubscribe_url"], headers={"User-Agent": user_agent})
            assert answer.status_code == 200
            assert "You are unsubscribed" not in answer.text
    for method in ("OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"):
        answer = await standing.reader.request(method, made["unsubscribe_url"])
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
        assert SAFE.items() <= dict(answer.headers).items()
    assert standing.suppressions() == before
    assert await resident.may_write_to(email)
    assert await resident.events(message=made["id"]) == []


async def test_page_has_one_form_to_the_same_url(standing: Served, resident: Customer) -> None:
    """One button, no script, nothing loaded; the form posts to where it stands (A1.10, A1.11)."""
    made = await resident.make()
    answer = await standing.reader.get(made["unsubscribe_url"])
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.count("<form") == 1
    assert '<form method="post">' in answer.text
    assert '<input type="hidden" name="page" value="1">' in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_head_has_the_fields_of_get(standing: Served, resident: Customer) -> None:
    """RFC 9110, section 9.3.2 (A2.1)."""
    path = path_of((await resident.make())["unsubscribe_url"])
    got, headed = await ask(standing.app, "GET", path), await ask(standing.app, "HEAD", path)
    assert (got.status, got.headers) == (headed.status, headed.headers)


async def test_address_is_masked(served: Served, customer: Customer) -> None:
    """Whoever else holds the link learns no address, and no answer repeats the token (B-8)."""
    made = await customer.make()
    shown = await served.reader.get(made["unsubscribe_url"])
    done = await served.reader.post(made["unsubscribe_url"])
    for answer in (shown, done):
        assert "A•••@E•••.com" in answer.text
        assert "Larkspur" in answer.text
        said = f"{answer.text}{answer.headers}".lower()
        assert "lovelace" not in said
        assert "example.com" not in said
        assert token_of(made["unsubscribe_url"]).lower() not in said


def decodings(piece: str) -> list[bytes]:
    """What the parts of a URL could say to somebody who guesses how they are written."""
    padded = piece + "=" * (-len(piece) % 4)
    found = [piece.encode()]
    for decode in (base64.urlsafe_b64decode, base64.b64decode, base64.b32decode, bytes.fromhex):
        try:
            found.append(bytes(decode(padded)))
        except ValueError:
            continue
    for candidate in list(found):
        try:
            found.append(zlib.decompress(candidate, -15))
        except zlib.error:
            continue
    return found


async def test_no_address_can_be_read_out_of_a_link(resident: Customer) -> None:
    """The token is opaque: no decoding of it shows the address (A1.14, B-33)."""
    made = await resident.make()
    for url in (made["unsubscribe_url"], made["preferences_url"], made["open_url"]):
        for piece in token_of(url).split("."):
            for decoded in decodings(piece):
                assert b"@" not in decoded or b"." not in decoded.partition(b"@")[2][:20]
                assert b"lovelace" not in decoded.lower()
                assert b"example" not in decoded.lower()


async def test_nothing_but_the_token_is_needed(standing: Served, resident: Customer) -> None:
    """No cookie, no referrer, no origin, no host: the bare request opts out (A1.5)."""
    email = somebody()
    made = await resident.make(recipient={"email": email})
    answer = await ask(standing.app, "POST", path_of(made["unsubscribe_url"]), client=None)
    assert answer.status == 200
    assert not await resident.may_write_to(email)


async def test_cookies_and_credentials_mean_nothing(standing: Served, resident: Customer) -> None:
    """With a session, a key and an origin the bytes are those without, and no cookie comes back (A1.6)."""
    path = path_of((await resident.make(recipient={"email": somebody()}))["unsubscribe_url"])
    extra = [
        (b"cookie", b"__Host-sid=abc; other=1"),
        (b"authorization", f"Bearer {resident.key}".encode()),
        (b"origin", b"https://evil.example"),
        (b"referer", b"https://evil.example/"),
        (b"sec-fetch-site", b"cross-site"),
    ]
    for method in ("GET", "POST", "GET"):
        plain = await ask(standing.app, method, path)
        laden = await ask(standing.app, method, path, headers=extra)
        assert plain == laden
        assert "set-cookie" not in plain.fields


VARIATIONS = {
    "as it is": ("/u/{token}", b""),
    "a trailing slash": ("/u/{token}/", b""),
    "two trailing slashes": ("/u/{token}//", b""),
    "an upper-case path": ("/U/{TOKEN}", b""),
    "an upper-case route": ("/U/{token}", b""),
    "a doubled slash": ("//u/{token}", b""),
    "a doubled slash within": ("/u//{token}", b""),
    "a dot": ("/./u/{token}", b""),
    "a query": ("/u/{token}", b"x=1"),
    "a query of ours": ("/u/{token}", b"List-Unsubscribe=One-Click&next=https://evil.example"),
    "no token": ("/u/", b""),
    "no slash": ("/u", b""),
}


@pytest.mark.parametrize(("path", "query"), VARIATIONS.values(), ids=VARIATIONS)
@pytest.mark.parametrize("host", [b"t.example.com", b"www.elsewhere.example", b""])
async def test_no_post_is_ever_redirected(
    standing: Served, resident: Customer, path: str, query: bytes, host: bytes
) -> None:
    """RFC 8058, section 3.1: a POST is answered where it was sent, or not found (A1.7)."""
    token = token_of((await resident.make(recipient={"email": somebody()}))["unsubscribe_url"])
    written = path.format(token=token, TOKEN=token.upper())
    answer = await ask(standing.app, "POST", written, query=query, headers=[(b"host", host)])
    assert answer.status == (200 if written == f"/u/{token}" else 404)
    assert "location" not in answer.fields
    assert SAFE.items() <= answer.fields.items()


async def test_pressing_again_changes_nothing(served: Served, customer: Customer) -> None:
    """Any number of POSTs, at once or in turn, is one suppression and one event (A1.13)."""
    first, second = await customer.make(), await customer.make(recipient={"email": EMAIL.upper()})
    answers = await asyncio.gather(*(served.reader.post(first["unsubscribe_url"]) for _ in range(20)))
    answers += [await served.reader.post(made["unsubscribe_url"]) for made in (first, second, second)]
    assert [answer.status_code for answer in answers] == [200] * 23
    assert served.suppressions() == 1
    (event,) = await customer.events()
    assert (event["type"], event["message_id"]) == ("unsubscribed", first["id"])


async def test_opt_out_becomes_an_event(served: Served, customer: Customer) -> None:
    """A person's wish is human, whatever carried it; it shows where and how it was said."""
    made = await customer.make(topic="offers", metadata={"segment": "b"})
    other, third = [await customer.make(recipient={"email": somebody()}) for _ in range(2)]
    await served.reader.post(made["unsubscribe_url"], content=ONE_CLICK, headers={"User-Agent": "python-requests/2.32"})
    await served.reader.post(other["unsubscribe_url"], data={"page": "1"})
    await served.reader.post(third["unsubscribe_url"], content=b"x" * 8_191 + b"&page=1")
    event, page, late = await customer.events()
    assert [one["type"] for one in (event, page, late)] == ["unsubscribed"] * 3
    # No more than 8 KiB of a body is looked at (A1.9).
    assert [one["method"] for one in (event, page, late)] == ["one_click", "page", "one_click"]
    assert (event["url"], event["link"]) == (None, None)
    assert event["recipient"] == made["recipient"]
    assert (event["campaign"], event["topic"], event["metadata"]) == ("spring-sale", "offers", {"segment": "b"})
    assert event["verdict"] == {"value": "human", "class": None, "signals": []}
    assert event["client"]["ip"] == "203.0.113.0"


async def test_opt_out_covers_the_whole_account_and_no_other(served: Served, customer: Customer) -> None:
    """Every topic, every spelling of the address, every later mail; another sender is not concerned (A1.16, A1.17)."""
    rook = await served.customer("Rook")
    made = await customer.make(topic="offers")
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
    (plain,) = await customer.check(EMAIL.lower())
    assert (plain["allowed"], plain["reason"], plain["scope"]) == (False, "unsubscribed", "account")
    assert not (await customer.check(f'"{EMAIL.partition("@")[0]}"@EXAMPLE.COM', topic="receipts"))[0]["allowed"]
    refused = await customer.api.post("/v1/messages", json={"campaign": "next", "recipient": {"email": EMAIL}})
    assert refused.status_code == 409
    assert await rook.may_write_to(EMAIL)
    await rook.make()


async def test_token_is_enough_when_every_row_is_gone(served: Served, customer: Customer) -> None:
    """The message, its recipient and its campaign may long be deleted (A1.15)."""
    made = await customer.make()
    for table in ("messages", "recipients", "campaigns"):
        served.main(f"delete from {table}")
    assert (await served.reader.get(made["unsubscribe_url"])).status_code == 200
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
    assert not await customer.may_write_to()
    (event,) = await customer.events()
    assert event["message_id"] is None
    assert event["recipient"] == {"id": None, "external_id": None, "email": None}


async def test_page_stands_without_storage(served: Served, customer: Customer) -> None:
    """Nothing but the masked address is lost with the database."""
    made = await customer.make()
    served.main("alter table messages rename to elsewhere")
    answer = await served.reader.get(made["unsubscribe_url"])
    assert answer.status_code == 200
    assert "•••" not in answer.text
    assert "may no longer write to you" in answer.text
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
    assert not await customer.may_write_to()


class Stuck(SQLite):
    """A database that never answers."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))

    async def fetch(self, _: str, /, **__: object) -> NoReturn:
        await asyncio.get_running_loop().create_future()
        raise AssertionError


async def test_page_waits_for_no_slow_database() -> None:
    """The masked address is shown if it can be read within 100 ms, else none."""
    stuck, links = Stuck(), Links(Keyring({1: new_secret()}))
    writer = EventWriter(Journal(stuck).append, Journal(stuck).beat)
    pages = Pages(None)
    persons = Persons(
        links=links,
        writer=writer,
        directory=Directory(Accounts(stuck)),
        messages=Messages(stuck),
        opt_outs=OptOuts(stuck),
        strangers=Strangers(Rate(1, 1), pages),
        pages=pages,
        tally=Tally(),
    )
    app: Any = Starlette(routes=Unsubscribe(persons).routes())
    token = links.sign_unsubscribe(b"somebody", bytes(16), bytes(16))
    async with asyncio.timeout(2):
        answer = await ask(app, "GET", f"/u/{token}")
    assert answer.status == 200
    assert "•••" not in answer.body.decode()


async def test_account_never_heard_of_is_asked_to_come_again(served: Served, customer: Customer) -> None:
    """It may be that we lost something: 503, and nothing is said to be done."""
    token = served.links.sign_unsubscribe(b"unknown!", bytes(16), bytes(16))
    answer = await served.reader.post(f"/u/{token}")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "could not store" in answer.text
    assert SAFE.items() <= dict(answer.headers).items()
    assert served.suppressions() == 0
    assert (await served.reader.get(f"/u/{token}")).status_code == 200


async def test_known_account_opts_out_without_the_main_file(served: Served, customer: Customer) -> None:
    """Accounts are in memory; one that is not, and cannot be looked up, is asked to come again."""
    made = await customer.make()
    await served.reader.get(made["unsubscribe_url"])
    served.main("alter table accounts rename to elsewhere")
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
    stranger = served.links.sign_unsubscribe(b"unknown!", bytes(16), bytes(16))
    assert (await served.reader.post(f"/u/{stranger}")).status_code == 503
    assert served.suppressions() == 1


async def test_bad_token_changes_nothing(standing: Served, resident: Customer) -> None:
    """A forged link, another purpose's, another installation's: 404 with a page a person can read (A1.14)."""
    email = somebody()
    made = await resident.make(recipient={"email": email})
    token = token_of(made["unsubscribe_url"])
    key = address_key(email, b"p" * 32)
    strange = Links(Keyring({1: new_secret()}))
    before = standing.suppressions()
    for bad in (
        token[:-1],
        f"{token}=",
        f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        f"{'A' if token[5] != 'A' else 'B'}".join((token[:5], token[6:])),
        token_of(made["preferences_url"]),
        token_of(made["open_url"]),
        strange.sign_unsubscribe(resident.id, bytes(16), key),
        "A" * 78,
        "x",
    ):
        for method in ("GET", "POST"):
            answer = await ask(standing.app, method, f"/u/{bad}", body=ONE_CLICK)
            assert answer.status == 404
            assert b"This link has not done it" in answer.body
            assert SAFE.items() <= answer.fields.items()
    assert standing.suppressions() == before
    assert await resident.may_write_to(email)


async def test_what_is_answered_is_stored_already(served: Served, customer: Customer) -> None:
    """200 follows the commit: the row is in the file for every process that looks then (A1.12)."""
    made = await customer.make()
    assert served.suppressions() == 0
    answer = await served.reader.post(made["unsubscribe_url"])
    assert (answer.status_code, served.suppressions()) == (200, 1)


async def test_opt_outs_outlive_a_restart(tmp_path: Path) -> None:
    """What was answered is there when the server comes back, and links made before still work (A1.15)."""
    async with serving(tmp_path) as before:
        customer = await before.customer()
        first, second = await customer.make(), await customer.make(recipient={"email": "b@example.com"})
        await before.reader.post(first["unsubscribe_url"])
        key = customer.key
    async with serving(tmp_path) as after:
        assert (await after.reader.post(second["unsubscribe_url"])).status_code == 200
        assert after.suppressions() == 2
        headers = {"Authorization": f"Bearer {key}"}
        listed = await after.reader.get("/v1/events", headers=headers)
        assert [event["sequence"] for event in listed.json()["data"]] == [2, 1]
