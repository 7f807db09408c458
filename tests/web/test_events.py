"""Events are found by every question, in order, each once; the feed has no gaps; nobody sees another's."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.web.serving import (
    BASE_URL,
    SHOP,
    Customer,
    Served,
    click_of,
    locked,
    problem_of,
    until,
)

pytestmark = pytest.mark.anyio

Event = dict[str, Any]

ADA, BOB = "Ada@example.com", "bob@example.com"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
HUMAN, APPLE, ROBOT = {"User-Agent": PHONE}, {"User-Agent": "Mozilla/5.0"}, {"User-Agent": "curl/8.5.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened to the mails of one customer, and to a mail of another."""

    larkspur: Customer
    rook: Customer
    messages: Mapping[str, dict[str, Any]]
    events: list[Event]
    theirs: list[Event]

    def of(self, truth: Callable[[Event], bool]) -> list[str]:
        """The ids of the events this is true of, the oldest first."""
        return [event["id"] for event in self.events if truth(event)]


@pytest.fixture(scope="module")
async def story(standing: Served, resident: Customer) -> Story:
    rook = await standing.customer("Rook")
    html = f'<a href="{SHOP.replace("&", "&amp;")}">Shop</a><a href="https://shop.example.com/two">Two</a>'
    messages = {
        "ada": await resident.make(
            recipient={"email": ADA, "external_id": "crm-1"},
            campaign="spring",
            topic="offers",
            metadata={"n": 1},
            html=html,
        ),
        "ada again": await resident.make(recipient={"email": ADA}, campaign="autumn", html=html),
        "bob": await resident.make(
            recipient={"email": BOB, "external_id": "crm-2"}, campaign="spring", topic="news", html=html
        ),
    }
    theirs = await rook.make(
        recipient={"email": ADA, "external_id": "crm-1"}, campaign="spring", topic="offers", html=html
    )
    get = standing.reader.get
    for _ in range(2):
        for made in (*messages.values(), theirs):
            await get(made["open_url"], headers=HUMAN)
            await get(made["open_url"], headers=APPLE)
            await get(click_of(made, 1), headers=HUMAN)
        await get(click_of(messages["ada"]), headers=ROBOT)
    await standing.reader.post(messages["bob"]["unsubscribe_url"], content=b"page=1", headers=HUMAN)
    await standing.reader.post(theirs["unsubscribe_url"], headers=HUMAN)
    events, other = await resident.events(limit=1_000), await rook.events(limit=1_000)
    assert (len(events), len(other)) == (21, 7)
    return Story(larkspur=resident, rook=rook, messages=messages, events=events, theirs=other)


async def test_event_has_the_shape_of_the_contract(story: Story) -> None:
    """Each field that was promised, and no other; fields that do not apply are null."""
    clicked = next(event for event in story.events if event["type"] == "clicked")
    made = story.messages["ada"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", clicked["occurred_at"])
    assert clicked == {
        "id": clicked["id"],
        "sequence": 3,
        "revision": 1,
        "type": "clicked",
        "occurred_at": clicked["occurred_at"],
        "campaign": "spring",
        "topic": "offers",
        "message_id": made["id"],
        "recipient": {"id": made["recipient"]["id"], "external_id": "crm-1", "email": ADA},
        "url": "https://shop.example.com/two",
        "link": 1,
        "method": None,
        "client": {
            "user_agent": PHONE,
            "name": "Apple Mail",
            "os": "iOS",
            "device": "phone",
            "ip": "203.0.113.0",
            "proxied": False,
            "referrer": None,
        },
        "verdict": {"value": "human", "class": None, "signals": []},
        "metadata": {"n": 1},
    }


async def test_newest_come_first_unless_asked_otherwise(story: Story) -> None:
    """Ordered by the time they occurred and then by id; `asc` is the same order turned round."""
    newest = (await story.larkspur.api.get("/v1/events", params={"limit": 1_000})).json()["data"]
    oldest = await story.larkspur.events(limit=1_000)
    keys = [(event["occurred_at"], event["id"]) for event in oldest]
    assert keys == sorted(keys)
    assert newest == oldest[::-1]
    assert sorted(event["sequence"] for event in oldest) == list(range(1, 22))


FILTERS: dict[str, tuple[Callable[[Story], dict[str, Any]], Callable[[Story], Callable[[Event], bool]]]] = {
    "nothing": (lambda _: {}, lambda _: lambda _: True),
    "a type": (lambda _: {"type": "opened"}, lambda _: lambda e: e["type"] == "opened"),
    "two types": (
        lambda _: {"type": ["clicked", "unsubscribed"]},
        lambda _: lambda e: e["type"] in ("clicked", "unsubscribed"),
    ),
    "a type that never happened": (lambda _: {"type": "bounced"}, lambda _: lambda _: False),
    "a recipient": (
        lambda story: {"recipient": story.messages["ada"]["recipient"]["id"]},
        lambda _: lambda e: e["recipient"]["email"] == ADA,
    ),
    "an external id": (
        lambda _: {"external_id": "crm-1"},
        lambda story: lambda e: e["message_id"] == story.messages["ada"]["id"],
    ),
    "a campaign": (lambda _: {"campaign": "spring"}, lambda _: lambda e: e["campaign"] == "spring"),
    "a campaign in other characters": (lambda _: {"campaign": "Spring"}, lambda _: lambda _: False),
    "a message": (
        lambda story: {"message": story.messages["bob"]["id"]},
        lambda story: lambda e: e["message_id"] == story.messages["bob"]["id"],
    ),
    "a topic": (lambda _: {"topic": "news"}, lambda _: lambda e: e["topic"] == "news"),
    "human": (lambda _: {"verdict": "human"}, lambda _: lambda e: e["verdict"]["value"] == "human"),
    "machine": (lambda _: {"verdict": "machine"}, lambda _: lambda e: e["verdict"]["class"] == "scanner_ua"),
    "unknown": (lambda _: {"verdict": "unknown"}, lambda _: lambda e: e["verdict"]["value"] == "unknown"),
    "since, which is included": (
        lambda story: {"since": story.events[5]["occurred_at"]},
        lambda story: lambda e: e["occurred_at"] >= story.events[5]["occurred_at"],
    ),
    "until, which is not": (
        lambda story: {"until": story.events[5]["occurred_at"]},
        lambda story: lambda e: e["occurred_at"] < story.events[5]["occurred_at"],
    ),
    "a span with an offset": (
        lambda story: {
            "since": story.events[2]["occurred_at"].replace("Z", "-00:00"),
            "until": story.events[9]["occurred_at"].replace("Z", "+00:00"),
        },
        lambda story: lambda e: story.events[2]["occurred_at"] <= e["occurred_at"] < story.events[9]["occurred_at"],
    ),
    "many at once": (
        lambda _: {"campaign": "spring", "topic": "offers", "type": "opened", "verdict": "unknown"},
        lambda _: lambda e: e["topic"] == "offers" and e["verdict"]["value"] == "unknown" and e["type"] == "opened",
    ),
    "another's message": (lambda story: {"message": story.theirs[0]["message_id"]}, lambda _: lambda _: False),
    "another's recipient": (lambda story: {"recipient": story.theirs[0]["recipient"]["id"]}, lambda _: lambda _: False),
}


@pytest.mark.parametrize(("filters", "truth"), FILTERS.values(), ids=FILTERS)
async def test_filter_finds_what_it_says(
    story: Story,
    filters: Callable[[Story], dict[str, Any]],
    truth: Callable[[Story], Callable[[Event], bool]],
) -> None:
    """In the query and in the body of a search alike; all that matches and nothing else."""
    wanted = filters(story)
    expected = story.of(truth(story))
    assert [event["id"] for event in await story.larkspur.events(**wanted)] == expected
    answer = await story.larkspur.api.post("/v1/events/search", json={**wanted, "order": "asc"})
    assert (answer.status_code, answer.json()["next_cursor"]) == (200, None)
    assert [event["id"] for event in answer.json()["data"]] == expected


@pytest.mark.parametrize(
    ("email", "whose"),
    [("Ada@example.com", ADA), ("Ada@EXAMPLE.COM", ADA), ("ada@example.com", None), ("nobody@example.com", None)],
)
async def test_search_finds_by_address(story: Story, email: str, whose: str | None) -> None:
    """An address stands in a body alone; it identifies with its exact local part and any case of its domain (A15.5)."""
    answer = await story.larkspur.api.post("/v1/events/search", json={"email": email, "order": "asc"})
    assert [event["id"] for event in answer.json()["data"]] == story.of(lambda e: e["recipient"]["email"] == whose)


async def test_nobody_sees_events_of_another_account(story: Story) -> None:
    """The same address, the same campaign, the same names: two lists with nothing in common."""
    ours, theirs = {event["id"] for event in story.events}, {event["id"] for event in story.theirs}
    assert not ours & theirs
    for filters in ({"campaign": "spring"}, {"external_id": "crm-1"}, {"topic": "offers"}):
        assert {event["id"] for event in await story.rook.events(**filters)} == theirs
    answer = await story.rook.api.post("/v1/events/search", json={"email": ADA})
    assert {event["id"] for event in answer.json()["data"]} == theirs
    feed = (await story.rook.api.get("/v1/events/feed")).json()["data"]
    assert [event["sequence"] for event in feed] == list(range(1, 8))
    assert {event["id"] for event in feed} == theirs


async def pages(customer: Customer, **filters: Any) -> AsyncIterator[list[Event]]:
    """The pages of a list, each found by the link in the one before."""
    url: str | None = "/v1/events"
    params: dict[str, Any] | None = filters
    while url is not None:
        answer = await customer.api.get(url, params=params)
        assert answer.status_code == 200, answer.text
        yield answer.json()["data"]
        linked = answer.links.get("next")
        assert (linked is None) == (answer.json()["next_cursor"] is None)
        url, params = (linked["url"] if linked else None), None


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 4, 7, 20, 21, 22, 1_000])
async def test_pages_show_each_event_once(story: Story, order: str, limit: int) -> None:
    """Following `next` gives all there is; without it, that was the end (A8.1, A8.4)."""
    found = [page async for page in pages(story.larkspur, order=order, limit=limit)]
    expected = story.of(lambda _: True)
    assert [event["id"] for page in found for event in page] == (expected if order == "asc" else expected[::-1])
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert found[-1]


async def test_link_to_the_next_page_keeps_the_question(story: Story) -> None:
    """It stands on the base URL and repeats every parameter as it was given."""
    params: dict[str, Any] = {"type": ["opened", "clicked"], "campaign": "spring", "limit": 5, "order": "asc"}
    answer = await story.larkspur.api.get("/v1/events", params=params)
    assert answer.headers["link"].startswith(f"<{BASE_URL}/v1/events?type=opened&type=clicked&campaign=spring&limit=5&")
    assert answer.headers["link"].endswith('>; rel="next"')
    matching = story.of(lambda e: e["type"] in params["type"] and e["campaign"] == "spring")
    found = [event["id"] async for page in pages(story.larkspur, **params) for event in page]
    assert found == matching


async def test_pages_of_a_search_follow_its_cursor(story: Story) -> None:
    """The cursor goes back in the body, beside the same filters; the limit may change."""
    question: dict[str, Any] = {"email": ADA, "order": "asc", "limit": 3}
    first = (await story.larkspur.api.post("/v1/events/search", json=question)).json()
    rest = await story.larkspur.api.post(
        "/v1/events/search", json={**question, "limit": 1_000, "cursor": first["next_cursor"]}
    )
    found = first["data"] + rest.json()["data"]
    assert [event["id"] for event in found] == story.of(lambda e: e["recipient"]["email"] == ADA)
    assert rest.json()["next_cursor"] is None


async def test_paging_is_not_disturbed_by_new_events(served: Served, customer: Customer) -> None:
    """Each event that was there at the start is seen once, whatever arrives meanwhile (A8.3)."""
    made = await customer.make()
    for _ in range(5):
        await served.reader.get(made["open_url"])
    there = [event["id"] for event in await customer.events()]
    for order in ("asc", "desc"):
        seen: list[str] = []
        async for page in pages(customer, order=order, limit=2):
            seen += [event["id"] for event in page]
            if len(seen) < 6:
                await served.reader.get(made["open_url"])
                await customer.events()
        assert len(seen) == len(set(seen))
        assert [one for one in seen if one in there] == (there if order == "asc" else there[::-1])


async def test_cursor_is_good_for_its_own_question_only(story: Story) -> None:
    """Tampered with, of another account, or beside other filters: 400, and it says so (A8.2)."""
    question: dict[str, Any] = {"campaign": "spring", "limit": 2}
    answer = await story.larkspur.api.get("/v1/events", params=question)
    cursor = answer.json()["next_cursor"]
    theirs = (await story.rook.api.get("/v1/events", params=question)).json()["next_cursor"]
    swapped = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    unsubscribe = story.messages["ada"]["unsubscribe_url"].rpartition("/")[2]
    for bad in (swapped, cursor[:-2], f"{cursor}=", theirs, "", "x", "é", "A" * 5_000, unsubscribe):
        refused = await story.larkspur.api.get("/v1/events", params={**question, "cursor": bad})
        assert (refused.status_code, problem_of(refused)) == (400, "bad-cursor")
    for other in ({"campaign": None}, {"campaign": "autumn"}, {"type": "opened"}, {"order": "asc"}):
        asked = {name: value for name, value in {**question, **other, "cursor": cursor}.items() if value is not None}
        refused = await story.larkspur.api.get("/v1/events", params=asked)
        assert (refused.status_code, problem_of(refused)) == (400, "bad-cursor")
    good = await story.larkspur.api.get("/v1/events", params={**question, "limit": 9, "cursor": cursor})
    assert len(good.json()["data"]) == 9


async def test_feed_has_no_gaps(story: Story) -> None:
    """Asking again with `after=next` gives each change once, in the order of its number, from the first on."""
    seen: list[Event] = []
    after = 0
    while True:
        answer = await story.larkspur.api.get("/v1/events/feed", params={"after": after, "limit": 4})
        assert set(answer.json()) == {"data", "next"}
        if not answer.json()["data"]:
            break
        seen += answer.json()["data"]
        after = answer.json()["next"]
    assert [event["sequence"] for event in seen] == list(range(1, 22))
    assert answer.json() == {"data": [], "next": 21}
    assert sorted(seen, key=lambda event: event["id"]) == story.events


async def test_feed_begins_at_the_beginning(story: Story) -> None:
    """Without `after` it is all there is, a hundred at a time; beyond the end it waits where it was told to."""
    answer = (await story.larkspur.api.get("/v1/events/feed")).json()
    assert (answer["data"][0]["sequence"], answer["next"]) == (1, 21)
    assert (await story.larkspur.api.get("/v1/events/feed?after=9000")).json() == {"data": [], "next": 9000}


async def test_reads_see_what_was_acknowledged(served: Served, customer: Customer) -> None:
    """A list, a search, the feed and a message hold every hit that was answered before the question."""
    made = await customer.make()
    await served.reader.get(made["open_url"])
    assert len((await customer.api.get("/v1/events")).json()["data"]) == 1
    await served.reader.get(made["open_url"])
    assert len((await customer.api.post("/v1/events/search", json={})).json()["data"]) == 2
    await served.reader.get(made["open_url"])
    feed = await customer.api.get("/v1/events/feed")
    assert (feed.json()["next"], "tracker-lag" in feed.headers) == (3, False)
    await served.reader.get(made["open_url"])
    assert len((await customer.api.get(f"/v1/messages/{made['id']}")).json()["events"]) == 4


async def test_answer_says_how_far_it_is_behind(served: Served, customer: Customer) -> None:
    """With the projector standing still a read waits one second, then answers with what there is, and the lag."""
    made = await customer.make()
    await served.reader.get(made["open_url"])
    assert len(await customer.events()) == 1
    with locked(served.files.main):
        assert (await served.reader.get(made["open_url"])).status_code == 200
        paths = ("/v1/events", "/v1/events/feed", f"/v1/messages/{made['id']}")
        async with asyncio.timeout(2.5):
            answers = await asyncio.gather(*(customer.api.get(path) for path in paths))
        for answer in answers:
            assert answer.status_code == 200
            assert len(answer.json().get("data") or answer.json()["events"]) == 1
            assert re.fullmatch(r"\d+\.\d{3}", answer.headers["tracker-lag"])
            assert 1.0 <= float(answer.headers["tracker-lag"]) < 3.0

    async def caught_up() -> bool:
        return "tracker-lag" not in (await customer.api.get("/v1/events")).headers

    await until(caught_up)
    assert len(await customer.events()) == 2
