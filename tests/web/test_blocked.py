"""What the operator has stopped for abuse: readers are not led on, and nothing more is made for it."""

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.web.serving import SAFE, SHOP, Customer, Served, ask, click_of, locked, path_of, serving, somebody, until
from tracker.domain.blocks import Kind, block_value
from tracker.domain.ids import parse_id
from tracker.domain.links import ClickKey
from tracker.storage.account_options import AccountOptions
from tracker.storage.blocks import Blocks

pytestmark = pytest.mark.anyio

EVIL = "https://evil.example/login?id=1"


@asynccontextmanager
async def blocks_of(served: Served) -> AsyncIterator[Blocks]:
    """What a command opens beside the running server."""
    async with served.place.main_database() as database:
        yield Blocks(database)


async def block(served: Served, kind: Kind, text: str) -> None:
    """As the command does."""
    async with blocks_of(served) as blocks:
        await blocks.add(kind, block_value(kind, text), "a report")


async def unblock_all(served: Served) -> None:
    """Take everything back."""
    async with blocks_of(served) as blocks:
        for one in await blocks.all():
            await blocks.remove(one)


async def set_options(served: Served, customer: Customer, *, hosts: list[str] | None = None, limited: bool) -> None:
    """As the commands do."""
    async with served.place.main_database() as database:
        await AccountOptions(database).allow_hosts(customer.id, hosts)
        await AccountOptions(database).limit(customer.id, limited=limited)


async def answers(served: Served, url: str, status: int) -> None:
    """Wait for what a look says, which records nothing."""

    async def does() -> bool:
        return (await served.reader.head(url)).status_code == status

    await until(does)


def html_to(*urls: str) -> str:
    """Links to these."""
    return "".join(f'<a href="{url}">Go</a>' for url in urls)


async def test_blocked_click_gets_a_page_and_is_recorded_as_nobodys(served: Served, customer: Customer) -> None:
    """410 for GET and HEAD alike, kept by no cache; an event of class blocked; other links lead on; and back again."""
    made = await customer.make(html=html_to(EVIL, SHOP))
    evil, shop = click_of(made, 0), click_of(made, 1)
    assert (await served.reader.get(evil)).status_code == 302
    await block(served, Kind.HOST, "evil.example")
    await answers(served, evil, 410)
    for method in ("GET", "HEAD"):
        answer = await ask(served.app, method, path_of(evil))
        assert answer.status == 410
        assert SAFE.items() <= answer.fields.items()
        assert "location" not in answer.fields
        assert b"This link has been blocked" in answer.body
        assert b"evil.example" not in answer.body
    assert (await served.reader.get(shop)).status_code == 302
    first, blocked, other = await customer.events(type="clicked")
    assert (first["verdict"]["value"], other["verdict"]["value"]) == ("human", "human")
    assert (blocked["verdict"]["value"], blocked["verdict"]["class"]) == ("unknown", "blocked")
    assert blocked["verdict"]["signals"][0] == "blocked"
    assert (blocked["url"], blocked["link"], blocked["message_id"]) == (EVIL, 0, made["id"])
    await unblock_all(served)
    await answers(served, evil, 302)


async def test_blocked_account_makes_nothing_and_its_opt_outs_work(served: Served, customer: Customer) -> None:
    """Its clicks get the page and its pixel tells nothing; it is refused what makes links, and may read."""
    other = await served.customer("Rook")
    made, theirs = await customer.make(), await other.make()
    opened = await ask(served.app, "GET", path_of(made["open_url"]))
    await block(served, Kind.ACCOUNT, customer.id.hex())
    await answers(served, click_of(made), 410)
    assert (await served.reader.get(click_of(theirs))).status_code == 302
    assert await ask(served.app, "GET", path_of(made["open_url"])) == opened
    batch = {"campaign": "spring-sale", "recipients": [{"email": somebody()}]}
    for answer in (
        await make(customer),
        await customer.api.post("/v1/messages/batch", json=batch),
        await customer.api.get("/v1/link-key"),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("/problems/account-blocked")
    assert (await customer.api.get(f"/v1/messages/{made['id']}")).status_code == 200
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
    assert not await customer.may_write_to()
    assert (await served.reader.get(made["preferences_url"])).status_code == 200
    assert [event["type"] for event in await customer.events()] == ["opened", "opened", "unsubscribed"]
    await unblock_all(served)
    await answers(served, click_of(made), 302)
    assert (await make(customer)).status_code == 201


async def test_link_to_what_is_blocked_is_left_untracked(served: Served, customer: Customer) -> None:
    """In HTML and in text, with its reason; the message itself is made."""
    made = await customer.make(html=html_to(EVIL))
    await block(served, Kind.URL, "https://evil.example/login*")
    await answers(served, click_of(made), 410)
    tracking = {"text_clicks": True}
    made = await customer.make(html=html_to(EVIL, "https://evil.example/"), text=f"See {EVIL} now", tracking=tracking)
    assert made["links"] == [
        {"number": 0, "url": EVIL, "tracked": False, "why": "blocked"},
        {"number": 1, "url": "https://evil.example/", "tracked": True},
        {"number": 2, "url": EVIL, "tracked": False, "why": "blocked"},
    ]
    assert made["text"] == f"See {EVIL} now"
    assert f'<a href="{EVIL}">' in made["html"]


async def test_account_is_held_to_its_hosts(served: Served, customer: Customer) -> None:
    """Links elsewhere are left untracked; those its own key signs, or was given before, are not followed."""
    other = await served.customer("Rook")
    before, theirs = await customer.make(html=html_to(EVIL)), await other.make(html=html_to(EVIL))
    key = (await customer.api.get("/v1/link-key")).json()
    own = ClickKey(number=key["key_id"], account=customer.id, key=urlsafe_b64decode(key["key"] + "="))
    await set_options(served, customer, hosts=["example.com", "cdn.example"], limited=False)
    await answers(served, click_of(before), 410)
    made = await customer.make(html=html_to(EVIL, SHOP))
    assert [(link["tracked"], link.get("why")) for link in made["links"]] == [(False, "host not allowed"), (True, None)]
    for url, status in ((EVIL, 410), ("https://SHOP.example.com./", 302), ("https://a.cdn.example:444/", 302)):
        token = own.sign_click(parse_id(made["id"]), 0, url)
        assert (await ask(served.app, "GET", f"/c/{token}")).status == status
    assert (await served.reader.get(click_of(theirs))).status_code == 302
    classes = [event["verdict"]["class"] for event in await customer.events(type="clicked")]
    assert classes.count("blocked") == 1
    assert len(classes) == 3


async def test_blocks_hold_while_the_main_file_is_locked(served: Served, customer: Customer) -> None:
    """Whoever writes there does not stand in the way of the list, and loosens no block."""
    made = await customer.make(html=html_to(EVIL))
    await block(served, Kind.HOST, "evil.example")
    await answers(served, click_of(made), 410)
    with locked(served.files.main):
        assert (await served.reader.get(click_of(made))).status_code == 410
        assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200


@pytest.fixture
async def limiting(tmp_path: Path) -> AsyncIterator[Served]:
    """A server where limited accounts make three messages a day."""
    async with serving(tmp_path, limited_messages=3) as new:
        yield new


async def limited_customer(served: Served) -> Customer:
    """A customer whom the server knows to be limited."""
    customer = await served.customer()
    await set_options(served, customer, limited=True)
    await until(lambda: is_limited(customer))
    return customer


async def is_limited(customer: Customer) -> bool:
    """Whether it is refused a key for links."""
    return (await customer.api.get("/v1/link-key")).status_code == 403


async def make(customer: Customer) -> Any:
    """The answer to a message that is asked for."""
    return await customer.api.post("/v1/messages", json={"campaign": "x", "recipient": {"email": somebody()}})


async def test_limited_account_makes_so_many_messages_a_day(limiting: Served) -> None:
    """Over it 429, which says what to do; all of a batch or nothing; confirmed, it is free."""
    customer = await limited_customer(limiting)
    batch = {"campaign": "x", "recipients": [{"email": somebody()} for _ in range(3)]}
    assert (await make(customer)).status_code == 201
    refused = await customer.api.post("/v1/messages/batch", json=batch)
    assert refused.status_code == 429
    problem = refused.json()
    assert problem["type"].endswith("/problems/account-limited")
    assert (problem["limit"], problem["left"]) == (3, 2)
    assert "Until the operator of this server has confirmed it" in problem["detail"]
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert limiting.main("select count(*) from messages") == [(1,)]
    await set_options(limiting, customer, limited=False)

    async def is_free() -> bool:
        return not await is_limited(customer)

    await until(is_free)
    assert (await customer.api.post("/v1/messages/batch", json=batch)).status_code == 200


async def test_limit_holds_for_requests_that_come_at_once(limiting: Served) -> None:
    """It is counted in the transaction that makes the messages."""
    customer = await limited_customer(limiting)
    made = await asyncio.gather(*[make(customer) for _ in range(12)])
    assert sorted(answer.status_code for answer in made) == [201] * 3 + [429] * 9
    assert limiting.main("select messages from daily_messages") == [(3,)]


async def test_limited_account_gets_no_key_for_links(limiting: Served) -> None:
    """Nobody could count those; everything else is open to it."""
    customer = await limited_customer(limiting)
    answer = await customer.api.get("/v1/link-key")
    assert answer.json()["type"].endswith("/problems/account-not-confirmed")
    assert (await customer.api.get("/v1/events")).status_code == 200
