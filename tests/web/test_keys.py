"""An account makes its own keys, sees them and revokes them, and never gives what it has not."""

import re
from typing import Any

import pytest

from tests.web.serving import BASE_URL, Customer, Served, client_of, path_of, pointers_of, problem_of
from tracker.storage.api_keys import MOST_KEYS, SCOPES

pytestmark = pytest.mark.anyio

KEYS = "/v1/keys"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def id_of(key: str) -> str:
    return key.split("_", 2)[1]


async def made(customer: Customer, name: str = "mailer", scopes: tuple[str, ...] = ("messages",)) -> dict[str, Any]:
    """A new key, as it was answered."""
    answer = await customer.api.post(KEYS, json={"name": name, "scopes": scopes})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_new_key_works_at_once_as_far_as_its_scopes_go(served: Served, customer: Customer) -> None:
    """201 with the key and where it is read again, without its secret."""
    answer = await customer.api.post(KEYS, json={"name": "mailer", "scopes": ["events", "messages", "events"]})
    key = answer.json()
    assert (answer.status_code, set(key)) == (201, {"id", "name", "scopes", "created_at", "revoked_at", "api_key"})
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("mailer", ["messages", "events"], None)
    assert re.fullmatch(r"trk_[0-9a-f]{16}_[\w-]{43}", key["api_key"])
    assert (key["id"], answer.headers["location"]) == (id_of(key["api_key"]), f"{BASE_URL}{KEYS}/{key['id']}")
    assert TIME.fullmatch(key["created_at"])
    read = await customer.api.get(path_of(answer.headers["location"]))
    assert read.json() == {name: value for name, value in key.items() if name != "api_key"}
    new = client_of(served.app, headers={"Authorization": f"Bearer {key['api_key']}"})
    assert (await new.get("/v1/events")).status_code == 200
    assert problem_of(await new.get(KEYS)) == "missing-scope"


async def test_key_gives_only_what_it_has(served: Served) -> None:
    """403 names the first scope it lacks, and nothing is made."""
    customer = await served.customer(scopes=["account", "events"])
    before = (await customer.api.get(KEYS)).json()["data"]
    for scope in set(SCOPES) - {"account", "events"}:
        answer = await customer.api.post(KEYS, json={"name": "more", "scopes": ["events", scope]})
        assert (answer.status_code, problem_of(answer), answer.json()["scope"]) == (403, "missing-scope", scope)
    assert (await customer.api.get(KEYS)).json()["data"] == before
    assert (await made(customer, scopes=("account", "events")))["scopes"] == ["events", "account"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"scopes": ["events"]}, ["#/name"]),
        ({"name": "x"}, ["#/scopes"]),
        ({"name": "x", "scopes": []}, ["#/scopes"]),
        ({"name": "x", "scopes": ["everything"]}, ["#/scopes/0"]),
        ({"name": "x", "scopes": "events"}, ["#/scopes"]),
        ({"name": " ", "scopes": ["events", "Events"]}, ["#/name", "#/scopes/1"]),
        ({"name": "x" * 201, "scopes": ["events"]}, ["#/name"]),
        ({"name": "a\u202eb", "scopes": ["events"]}, ["#/name"]),
        ({"name": "x", "scopes": ["events"], "secret": "mine"}, ["#/secret"]),
        ({"name": "x", "scopes": ["events"] * 101}, ["#/scopes"]),
    ],
)
async def test_key_that_cannot_be_is_refused(resident: Customer, body: Any, pointers: list[str]) -> None:
    """422 with every flaw (A7.5)."""
    assert pointers_of(await resident.api.post(KEYS, json=body)) == pointers


async def test_pages_hold_each_key_once_and_no_secret(served: Served, customer: Customer) -> None:
    """In the order in which they were made, the revoked ones too."""
    others = [await made(customer, f"key {n}") for n in range(4)]
    await customer.api.delete(f"{KEYS}/{others[0]['id']}")
    found: list[dict[str, Any]] = []
    path: str | None = f"{KEYS}?limit=2"
    while path is not None:
        answer = await customer.api.get(path)
        for key in (customer.key, *(other["api_key"] for other in others)):
            assert key.split("_", 2)[2] not in answer.text
        found += answer.json()["data"]
        following = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("link", ""))
        assert (following is None) == (answer.json()["next_cursor"] is None)
        path = path_of(following[1]) if following else None
    assert [key["id"] for key in found] == [id_of(customer.key), *(other["id"] for other in others)]
    assert [key["revoked_at"] is None for key in found] == [True, False, True, True, True]
    assert [key["name"] for key in found][:2] == ["first key", "key 0"]


async def test_revoked_key_opens_nothing_from_the_answer_on(served: Served, customer: Customer) -> None:
    """204; once more is 204 too, and the key can still be read."""
    key = await made(customer)
    theirs = client_of(served.app, headers={"Authorization": f"Bearer {key['api_key']}"})
    for _ in range(2):
        answer = await customer.api.delete(f"{KEYS}/{key['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert problem_of(await theirs.get("/v1/link-key")) == "unauthorized"
    assert TIME.fullmatch((await customer.api.get(f"{KEYS}/{key['id']}")).json()["revoked_at"])


async def test_key_may_revoke_itself_unless_it_is_the_last(served: Served, customer: Customer) -> None:
    """409: the account would be left without a key to make keys with."""
    itself = f"{KEYS}/{id_of(customer.key)}"
    await made(customer, scopes=("messages",))
    refused = await customer.api.delete(itself)
    assert (refused.status_code, problem_of(refused)) == (409, "last-key")
    await made(customer, scopes=("account",))
    assert (await customer.api.delete(itself)).status_code == 204
    assert problem_of(await customer.api.get(KEYS)) == "unauthorized"


async def test_keys_in_use_are_limited(served: Served, customer: Customer) -> None:
    """409 says what to do."""
    owner = customer.id.hex()
    rows = ", ".join(f"(x'{n:016x}', x'{owner}', 'n', 'events', x'00', {n})" for n in range(1, MOST_KEYS))
    served.main(f"insert into api_keys (id, account_id, name, scopes, secret_hash, created_at) values {rows}")
    answer = await customer.api.post(KEYS, json={"name": "x", "scopes": ["events"]})
    assert (answer.status_code, problem_of(answer)) == (409, "too-many-keys")
    await customer.api.delete(f"{KEYS}/{1:016x}")
    await made(customer)


async def test_keys_of_others_are_answered_like_unknown_ones(served: Served, customer: Customer) -> None:
    """Byte for byte, and they go on working (B-7)."""
    other = await served.customer("Rook")
    for method in ("GET", "DELETE"):
        ids = (id_of(other.key), "0" * 16, "nonsense", id_of(other.key).upper())
        answers = [await customer.api.request(method, f"{KEYS}/{one}") for one in ids]
        assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
        assert problem_of(answers[0]) == "not-found"
    assert (await other.api.get(KEYS)).status_code == 200
    assert [key["id"] for key in (await customer.api.get(KEYS)).json()["data"]] == [id_of(customer.key)]


async def test_cursor_of_another_is_none(served: Served, customer: Customer) -> None:
    """400, as for anything that is no cursor of ours."""
    other = await served.customer("Rook")
    await made(other)
    cursor = (await other.api.get(KEYS, params={"limit": 1})).json()["next_cursor"]
    for given in (cursor, "x", ""):
        answer = await customer.api.get(KEYS, params={"cursor": given})
        assert (answer.status_code, problem_of(answer)) == (400, "bad-cursor")
