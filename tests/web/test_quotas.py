"""Each key and each account has a quota of its own, and every answer says what is left of it."""

import re
from pathlib import Path

import httpx
import pytest

from tests.web.serving import Customer, Served, client_of, problem_of, serving
from tracker.domain.meters import Rate
from tracker.storage.api_keys import Access, ApiKeys
from tracker.web.problems import Problem
from tracker.web.quotas import Quotas

pytestmark = pytest.mark.anyio

TOPICS = "/v1/topics"
POLICY = '"key";q=3;w=86400, "account";q=5;w=86400'


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def left(answer: httpx.Response) -> dict[str, tuple[int, int]]:
    """What each policy has left, and in how many seconds it has all."""
    items = re.findall(r'"(\w+)";r=(\d+);t=(\d+)(?:, |\Z)', answer.headers["ratelimit"])
    return {name: (int(remaining), int(resets)) for name, remaining, resets in items}


async def another_key(served: Served, customer: Customer) -> Customer:
    """The same account with another of its keys."""
    async with served.place.main_database() as database:
        new = await ApiKeys(database).create(customer.id, "second", ["events"])
    api = client_of(served.app, headers={"Authorization": f"Bearer {new.written}"})
    return Customer(id=customer.id, key=new.written, api=api)


async def test_answers_say_what_is_left(tmp_path: Path) -> None:
    """A9.2: those with a problem too, whatever it is; and the answer to a wrong key says nothing."""
    async with serving(tmp_path, key_rate="6/hour", account_rate="100/hour") as served:
        customer = await served.customer(scopes=["events"])
        asked = [
            ("GET", TOPICS, 200),
            ("GET", f"{TOPICS}/unknown", 404),
            ("GET", f"{TOPICS}?foo=1", 422),
            ("POST", "/v1/messages", 403),
            ("POST", "/v1/events/search", 400),
        ]
        for number, (method, path, status) in enumerate(asked, start=1):
            answer = await customer.api.request(method, path)
            assert answer.status_code == status
            assert answer.headers["ratelimit-policy"] == '"key";q=6;w=3600, "account";q=100;w=3600'
            assert {name: remaining for name, (remaining, _) in left(answer).items()} == {
                "key": 6 - number,
                "account": 100 - number,
            }
            assert all(3_590 < resets <= 3_600 for _, resets in left(answer).values())
        for answer in (await served.reader.get(TOPICS), await served.reader.get("/")):
            assert "ratelimit" not in answer.headers


async def test_quota_is_of_the_key_and_of_the_account(tmp_path: Path) -> None:
    """A9.1, A9.3, A9.5, A9.6: 429 with Retry-After and the policy; another key has what is left to the account."""
    async with serving(tmp_path, key_rate="3/day", account_rate="5/day") as served:
        customer, other = await served.customer(), await served.customer("Osprey")
        second = await another_key(served, customer)
        assert [(await customer.api.get(TOPICS)).status_code for _ in range(3)] == [200] * 3
        for _ in range(2):
            refused = await customer.api.get(TOPICS)
            assert (refused.status_code, problem_of(refused)) == (429, "quota-exceeded")
            assert refused.json()["violated-policies"] == ["key"]
            assert refused.headers["ratelimit-policy"] == POLICY
            assert refused.headers["cache-control"] == "no-store"
            ((name, (remaining, resets)),) = left(refused).items()
            assert (name, remaining) == ("key", 0)
            assert resets <= int(refused.headers["retry-after"]) <= 86_400
        # What was refused did not count.
        assert left(await second.api.get(TOPICS))["account"][0] == 1
        assert (await second.api.get(TOPICS)).status_code == 200
        assert (await second.api.get(TOPICS)).json()["violated-policies"] == ["account"]
        assert left(await other.api.get(TOPICS)) == {"key": (2, 86_400), "account": (4, 86_400)}


async def test_refused_call_does_nothing(tmp_path: Path) -> None:
    """Not even a message."""
    async with serving(tmp_path, key_rate="1/day") as served:
        customer = await served.customer()
        await customer.make()
        again = await customer.api.post("/v1/messages", json={"campaign": "c", "recipient": {"email": "a@example.com"}})
        assert problem_of(again) == "quota-exceeded"
        assert served.main("select count(*) from messages") == [(1,)]


async def test_reader_is_never_told_of_quotas(served: Served, customer: Customer) -> None:
    """A9.4: a low number on a redirect could stop a client from following it."""
    made = await customer.make()
    for path in (made["open_url"], made["unsubscribe_url"], made["preferences_url"], made["html"].split('"')[1]):
        answer = await served.reader.get(path)
        assert answer.status_code in (200, 302)
        assert not [name for name in answer.headers if name.startswith("ratelimit")]


def test_quota_is_whole_again_when_its_window_ends() -> None:
    """Retry-After tells the truth: a moment before it is refused, and at it answered."""
    clock = Clock()
    quotas, access = Quotas(Rate(1, 10), Rate(2, 60), clock=clock), Access(b"account1", b"key", frozenset())
    assert quotas.take(access)["RateLimit"] == '"key";r=0;t=10, "account";r=1;t=60'
    clock.now += 4
    for wait_s, moved in ((6, 5.9), (1, 0.1)):
        with pytest.raises(Problem) as refused:
            quotas.take(access)
        assert refused.value.headers["Retry-After"] == str(wait_s)
        clock.now += moved
    assert quotas.take(access)["RateLimit"] == '"key";r=0;t=10, "account";r=0;t=50'
    clock.now += 10
    with pytest.raises(Problem) as refused:
        quotas.take(access)
    assert refused.value.members == {"violated-policies": ["account"]}
    assert refused.value.headers["RateLimit"] == '"account";r=0;t=40'
    assert refused.value.headers["Retry-After"] == "40"
