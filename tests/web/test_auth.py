"""A key opens its own account, as far as its scopes go, until it is revoked."""

import pytest

from tests.web.serving import EMAIL, SAFE, Customer, Served, client_of, fields_of, problem_of, token_of
from tracker.storage.api_keys import SCOPES, ApiKeys

pytestmark = pytest.mark.anyio

ROUTES = {
    ("POST", "/v1/messages"): "messages",
    ("GET", "/v1/messages/01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"): "messages",
    ("GET", "/v1/events"): "events",
    ("POST", "/v1/events/search"): "events",
    ("GET", "/v1/events/feed"): "events",
    ("DELETE", "/v1/campaigns/spring-sale"): "events",
    ("POST", "/v1/suppressions/check"): "suppressions:read",
    ("GET", "/v1/suppressions"): "suppressions:read",
    ("POST", "/v1/suppressions"): "suppressions:write",
    ("POST", "/v1/suppressions/search"): "suppressions:read",
    ("GET", "/v1/suppressions/changes"): "suppressions:read",
    ("GET", "/v1/suppressions/01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"): "suppressions:read",
    ("DELETE", "/v1/suppressions/01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1"): "suppressions:write",
    ("POST", "/v1/suppressions/01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1/lift"): "suppressions:write",
}

every_route = pytest.mark.parametrize(("method", "path"), list(ROUTES))


def spoilt(key: str) -> dict[str, str]:
    """Headers that are nearly those of this key."""
    start, identifier, secret = key.split("_", 2)
    other = "A" if secret[-1] != "A" else "B"
    return {
        "no scheme": key,
        "another scheme": f"Basic {key}",
        "no key": "Bearer",
        "an empty key": "Bearer ",
        "another secret": f"Bearer {key[:-1]}{other}",
        "a shorter secret": f"Bearer {key[:-1]}",
        "a longer secret": f"Bearer {key}A",
        "an unknown id": f"Bearer {start}_{'0' * 16}_{secret}",
        "an id in capitals": f"Bearer {start}_{'F' + identifier[1:].upper()}_{secret}",
        "another beginning": f"Bearer tok_{identifier}_{secret}",
        "no secret": f"Bearer {start}_{identifier}_",
        "two keys": f"Bearer {key} {key}",
        "a quoted key": f'Bearer "{key}"',
        "a long one": f"Bearer {start}_{identifier}_{'A' * 10_000}",
        "signs of SQL": "Bearer trk_0000000000000000_' or '1'='1' --",
    }


@every_route
async def test_without_a_key_nothing_opens(standing: Served, method: str, path: str) -> None:
    """401 with the challenge, whatever the body; a key never goes into the query."""
    for query in ("", "?api_key=trk_0000000000000000_x", "?access_token=x"):
        answer = await standing.reader.request(method, f"{path}{query}", content=b"{")
        assert (answer.status_code, problem_of(answer)) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer realm="tracker"'
        assert SAFE.items() <= dict(answer.headers).items()


async def test_wrong_keys_are_not_told_apart(standing: Served, resident: Customer) -> None:
    """An unknown id and a wrong secret get the same answer, byte for byte."""
    answers = {}
    for name, authorization in spoilt(resident.key).items():
        answer = await standing.reader.get("/v1/events", headers={"Authorization": authorization})
        assert (answer.status_code, problem_of(answer)) == (401, "unauthorized"), name
        answers[name] = (answer.content, fields_of(answer))
    assert answers["another secret"] == answers["an unknown id"] == answers["a shorter secret"]
    assert resident.key.encode() not in b"".join(content for content, _ in answers.values())


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_scheme_knows_no_case(standing: Served, resident: Customer, scheme: str) -> None:
    """RFC 9110, section 11.1."""
    answer = await standing.reader.get("/v1/events", headers={"Authorization": f"{scheme} {resident.key}"})
    assert answer.status_code == 200


@every_route
async def test_scope_decides(served: Served, method: str, path: str) -> None:
    """Each route needs its own scope; all others together do not open it."""
    needed = ROUTES[method, path]
    alone = await served.customer("Alone", scopes=[needed])
    without = await served.customer("Without", scopes=[scope for scope in SCOPES if scope != needed])
    assert (await alone.api.request(method, path, content=b"{")).status_code in (200, 400, 404)
    refused = await without.api.request(method, path, content=b"{")
    assert (refused.status_code, problem_of(refused)) == (403, "missing-scope")
    assert refused.json()["scope"] == needed
    assert needed in refused.json()["detail"]


async def test_revoked_key_is_dead_at_once(served: Served, customer: Customer) -> None:
    """From the commit on, and other keys of the account go on."""
    async with served.place.main_database() as database:
        keys = ApiKeys(database)
        second = (await keys.create(customer.id, "second", SCOPES)).written
        for key, status in ((customer.key, 200), (second, 200)):
            answer = await served.reader.get("/v1/events", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
        assert await keys.revoke(bytes.fromhex(customer.key.split("_")[1]))
    for key, status in ((customer.key, 401), (second, 200)):
        answer = await served.reader.get("/v1/events", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status


async def test_secret_may_hold_underscores(served: Served, customer: Customer) -> None:
    """Only the first two of a key separate its parts."""
    async with served.place.main_database() as database:
        for _ in range(200):
            key = (await ApiKeys(database).create(customer.id, "underscored", SCOPES)).written
            if key.count("_") > 3:
                break
    assert key.count("_") > 3
    api = client_of(served.app, headers={"Authorization": f"Bearer {key}"})
    assert (await api.get("/v1/events")).status_code == 200


async def test_new_account_works_at_once(served: Served) -> None:
    """One made beside the running server is known to it as soon as it is made."""
    for name in ("First", "Second"):
        made = await (await served.customer(name)).make()
        assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200


async def test_key_that_cannot_be_looked_up_opens_nothing(served: Served, customer: Customer) -> None:
    """503, not 401: the key may be good."""
    served.main("alter table api_keys rename to elsewhere")
    answer = await customer.api.get("/v1/events")
    assert (answer.status_code, problem_of(answer)) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_database_holds_no_secret(served: Served, customer: Customer) -> None:
    """Only the hash of a key is stored: its bytes are in no file."""
    await customer.make()
    files = b"".join(path.read_bytes() for path in served.files.main.parent.iterdir())
    _, identifier, secret = customer.key.split("_", 2)
    assert bytes.fromhex(identifier) in files
    assert secret.encode() not in files


async def test_account_is_the_key_and_nothing_else(served: Served, customer: Customer) -> None:
    """Another's ids beside one's own key find nothing, and opt-outs stay with the account of the token."""
    rook = await served.customer("Rook")
    theirs = await rook.make()
    assert (await customer.api.get(f"/v1/messages/{theirs['id']}")).status_code == 404
    assert await customer.events(message=theirs["id"]) == []
    headers = {"Authorization": f"Bearer {customer.key}"}
    await served.reader.post(f"/u/{token_of(theirs['unsubscribe_url'])}", headers=headers)
    assert await customer.may_write_to(EMAIL)
    assert not await rook.may_write_to(EMAIL)
