"""Who changed something of an account, and who looked, is in its audit trail, whatever happens."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.web.serving import EMAIL, Customer, Served, path_of, pointers_of, problem_of, somebody
from tracker.app import App
from tracker.domain.audit import ACTIONS, CHANGES, LOOKS
from tracker.web.api import _Methods
from tracker.web.operations import Operation

pytestmark = pytest.mark.anyio

AUDIT, ROWS, TOPICS, KEYS = "/v1/audit", "/v1/suppressions", "/v1/topics", "/v1/keys"

TRAFFIC = {
    "create_message": "a mail is made",
    "create_messages": "mails are made",
    "mark_messages_sent": "mails were sent",
    "check_suppressions": "asked before each sending, and tells only of addresses that are known already",
}
"""The operations that are no GET and have no entry, and why not."""

BY_OPERATOR = {
    "account.blocked",
    "account.confirmed",
    "account.created",
    "account.hosts_changed",
    "account.limited",
    "account.unblocked",
}
"""What no key can do."""

Deed = Callable[[Served, Customer], Awaitable[tuple[httpx.Response, str | None]]]
"""Does something; gives the answer, and to what it was done."""


def operations(app: App) -> list[Operation]:
    return [
        steps._operation
        for route in app.router.routes
        if isinstance(route.app, _Methods)
        for method, steps in route.app._methods.items()
        if method != "HEAD"
    ]


def key_of(customer: Customer) -> str:
    return customer.key.split("_", 2)[1]


async def trail(customer: Customer, **filters: Any) -> list[dict[str, Any]]:
    """The entries but those of looking at them, the newest first."""
    answer = await customer.api.get(AUDIT, params={"limit": 1000, **filters})
    assert answer.status_code == 200, answer.text
    return [entry for entry in answer.json()["data"] if entry["action"] != "audit.read"]


async def a_row(customer: Customer) -> str:
    made = await customer.api.post(ROWS, json={"email": somebody(), "reason": "manual"})
    return str(made.json()["id"])


async def change_account(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    return await customer.api.patch("/v1/account", json={"name": "Renamed"}), customer.id.hex()


async def create_key(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    answer = await customer.api.post(KEYS, json={"name": "another", "scopes": ["events"]})
    return answer, answer.json().get("id")


async def revoke_key(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    made = (await customer.api.post(KEYS, json={"name": "another", "scopes": ["events"]})).json()
    return await customer.api.delete(f"{KEYS}/{made['id']}"), made["id"]


async def delete_campaign(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    await customer.make(campaign="autumn", recipient={"email": somebody()})
    return await customer.api.delete("/v1/campaigns/autumn"), "autumn"


async def put_topic(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    return await customer.api.put(f"{TOPICS}/offers"), "offers"


async def delete_topic(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    await customer.make(topic="news", recipient={"email": somebody()})
    return await customer.api.delete(f"{TOPICS}/news"), "news"


async def add_suppression(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    answer = await customer.api.post(ROWS, json={"email": EMAIL, "reason": "manual", "note": "by phone"})
    return answer, answer.json().get("id")


async def delete_suppression(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    row = await a_row(customer)
    return await customer.api.delete(f"{ROWS}/{row}"), row


async def lift_suppression(served: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    made = await customer.make(recipient={"email": "left@example.com"})
    assert (await served.reader.post(made["unsubscribe_url"])).status_code == 200
    (row,) = (await customer.api.post(f"{ROWS}/search", json={"email": "left@example.com"})).json()["data"]
    served.inbox(f"update suppressions set created_at = 1000 where id = x'{row['id'].replace('-', '')}'")
    consent = {"consented_at": "2026-01-01T00:00:00Z", "method": "form", "evidence": "form 17"}
    return await customer.api.post(f"{ROWS}/{row['id']}/lift", json=consent), row["id"]


async def import_suppressions(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    lines = "".join(f"p{number}@example.com\n" for number in range(300))
    return await customer.api.post(f"{ROWS}/import", content=lines, headers={"Content-Type": "text/csv"}), None


async def export_suppressions(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    return await customer.api.get(f"{ROWS}/export"), None


async def search_suppressions(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    return await customer.api.post(f"{ROWS}/search", json={"email": EMAIL}), None


async def search_events(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    return await customer.api.post("/v1/events/search", json={"email": EMAIL}), None


async def read_audit(_: Served, customer: Customer) -> tuple[httpx.Response, str | None]:
    return await customer.api.get(AUDIT), None


DEEDS: Mapping[str, Deed] = {
    deed.__name__: deed
    for deed in (
        change_account,
        create_key,
        revoke_key,
        delete_campaign,
        put_topic,
        delete_topic,
        add_suppression,
        delete_suppression,
        lift_suppression,
        import_suppressions,
        export_suppressions,
        search_suppressions,
        search_events,
        read_audit,
    )
}
"""One for each operation that is audited, by its name."""


async def test_every_operation_says_whether_it_is_audited(standing: Served) -> None:
    """A new one that is no GET needs an action, or a line above that says why it has none."""
    table = operations(standing.app)
    unaudited = {one.name for one in table if one.method != "GET" and one.audit is None}
    assert unaudited == set(TRAFFIC)
    audited = {one.name: one.audit for one in table if one.audit is not None}
    assert set(audited) == set(DEEDS)
    assert set(audited.values()) | BY_OPERATOR == set(ACTIONS)
    assert set(audited.values()) & BY_OPERATOR == set()


@pytest.mark.parametrize("name", DEEDS)
async def test_deed_is_in_the_trail_once(served: Served, customer: Customer, name: str) -> None:
    """Who, what, to what and when; not in the trail of anybody else; and with nothing that identifies a person."""
    other = await served.customer("Rook")
    (operation,) = [one for one in operations(served.app) if one.name == name]
    answer, subject = await DEEDS[name](served, customer)
    assert answer.status_code < 300, answer.text
    found = (await customer.api.get(AUDIT, params={"action": operation.audit})).json()["data"]
    entry = found[0]
    assert found == [
        {
            "id": entry["id"],
            "occurred_at": entry["occurred_at"],
            "actor": {"type": "key", "id": key_of(customer)},
            "action": operation.audit,
            "subject": {"type": (operation.audit or "").partition(".")[0], "id": subject},
        }
    ]
    assert datetime.now(UTC) - datetime.fromisoformat(entry["occurred_at"]) < timedelta(seconds=30)
    everything = str(served.main("select * from audit")) + str(served.inbox("select * from inbox_audit"))
    for secret in (EMAIL.lower(), "left@example.com", "by phone", "form 17", customer.key.split("_", 2)[2]):
        assert secret not in everything.lower()
    assert [entry["action"] for entry in await trail(other)] == ["account.created"]


@pytest.mark.parametrize("name", [name for name in DEEDS if name != "read_audit"])
async def test_nothing_is_done_that_cannot_be_recorded(served: Served, customer: Customer, name: str) -> None:
    """The entry and what it tells are one transaction, and a look is recorded before it is answered."""
    (operation,) = [one for one in operations(served.app) if one.name == name]

    served.main(_refusing("audit", operation.audit, shared=served.shared))
    served.inbox(_refusing("inbox_audit", operation.audit, shared=served.shared))
    answer, _ = await DEEDS[name](served, customer)
    assert answer.status_code in (500, 503)
    assert EMAIL not in answer.text
    assert await trail(customer, action=operation.audit) == []
    assert standing_in(served) == LEFT.get(name, NOTHING)


def _refusing(table: str, action: str | None, *, shared: bool) -> str:
    if shared:
        return f"alter table {table} add constraint refusing_{table} check (action <> '{action}') not valid"
    return (
        f"create trigger refusing_{table} before insert on {table} when new.action = '{action}'"
        " begin select raise(abort, 'no'); end"
    )


NOTHING: dict[str, Any] = {
    "names": ["Larkspur"],
    "revoked": [None],
    "campaigns": [],
    "topics": [],
    "suppressions": 0,
    "lifts": 0,
}
"""What stands in a new account."""

LEFT: Mapping[str, dict[str, Any]] = {
    "revoke_key": {**NOTHING, "revoked": [None, None]},
    "delete_campaign": {**NOTHING, "campaigns": ["autumn"]},
    "delete_topic": {**NOTHING, "campaigns": ["spring-sale"], "topics": ["news"]},
    "delete_suppression": {**NOTHING, "suppressions": 1},
    "lift_suppression": {**NOTHING, "campaigns": ["spring-sale"], "suppressions": 1},
}
"""What stands where a deed began with making what it was to take away."""


def standing_in(served: Served) -> dict[str, Any]:
    return {
        "names": [name for (name,) in served.main("select name from accounts")],
        "revoked": [revoked for (revoked,) in served.main("select revoked_at from api_keys")],
        "campaigns": [name for (name,) in served.main("select name from campaigns")],
        "topics": [name for (name,) in served.main("select name from topics")],
        "suppressions": served.suppressions(),
        "lifts": len(served.inbox("select * from suppression_lifts")),
    }


async def test_what_changes_nothing_is_no_entry(served: Served, customer: Customer) -> None:
    """Neither a second time, nor with a wrong id, nor where it is refused."""
    row, topic = await a_row(customer), f"{TOPICS}/offers"
    email = {"email": "again@example.com", "reason": "manual"}
    mailer = (await customer.api.post(KEYS, json={"name": "another", "scopes": ["events"]})).json()["id"]
    await customer.api.put(topic)
    await customer.api.post(ROWS, json=email)
    await customer.api.delete(f"{KEYS}/{mailer}")
    before = await trail(customer)
    statuses = [
        (await customer.api.put(topic)).status_code,
        (await customer.api.post(ROWS, json=email)).status_code,
        (await customer.api.delete(f"{KEYS}/{mailer}")).status_code,
        (await customer.api.delete(f"{KEYS}/{'0' * 16}")).status_code,
        (await customer.api.delete(f"{KEYS}/{key_of(customer)}")).status_code,
        (await customer.api.delete(f"{TOPICS}/none")).status_code,
        (await customer.api.delete("/v1/campaigns/none")).status_code,
        (await customer.api.delete(f"{ROWS}/01935f2e-7c11-7cc2-b0f5-5d9f8ac7a9d1")).status_code,
        (await customer.api.post(f"{ROWS}/{row}/lift", json={})).status_code,
        (await customer.api.post(f"{ROWS}/search", json={"email": "nobody"})).status_code,
        (await customer.api.patch("/v1/account", json={})).status_code,
        (await customer.api.head(AUDIT)).status_code,
    ]
    assert statuses == [200, 200, 204, 404, 409, 404, 404, 404, 422, 422, 200, 200]
    assert await trail(customer) == before


async def test_call_sent_again_is_one_entry(customer: Customer) -> None:
    """Under its Idempotency-Key it is carried out once."""
    for _ in range(2):
        body, headers = {"email": EMAIL, "reason": "manual"}, {"Idempotency-Key": "one"}
        assert (await customer.api.post(ROWS, json=body, headers=headers)).status_code == 201
    assert [entry["action"] for entry in await trail(customer)] == ["suppression.added", "account.created"]


async def test_reading_the_trail_is_in_the_trail(customer: Customer) -> None:
    """From the next reading on, page by page."""
    await customer.api.get(AUDIT)
    found = (await customer.api.get(AUDIT)).json()["data"]
    assert [entry["action"] for entry in found] == ["audit.read", "account.created"]


async def test_pages_go_on_where_they_ended(served: Served, customer: Customer) -> None:
    """Entries of both files in the order of time; the readings of the pages themselves are newer."""
    for deed in (put_topic, add_suppression, create_key, delete_suppression):
        await deed(served, customer)
    expected = [entry["id"] for entry in await trail(customer)]
    found: list[str] = []
    path: str | None = f"{AUDIT}?limit=2"
    while path is not None:
        answer = await customer.api.get(path)
        found += [entry["id"] for entry in answer.json()["data"] if entry["action"] != "audit.read"]
        following = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("link", ""))
        assert (following is None) == (answer.json()["next_cursor"] is None)
        path = path_of(following[1]) if following else None
    assert found == expected


async def test_filters_find_what_a_key_did(served: Served, customer: Customer) -> None:
    """And what the operator did, and what happened in a time."""
    made = (await customer.api.post(KEYS, json={"name": "another", "scopes": ["account"]})).json()
    headers = {"Authorization": f"Bearer {made['api_key']}"}
    await customer.api.put(f"{TOPICS}/offers", headers=headers)
    assert [entry["action"] for entry in await trail(customer, key=made["id"])] == ["topic.created"]
    assert [entry["action"] for entry in await trail(customer, actor="operator")] == ["account.created"]
    assert (await trail(customer, actor="operator"))[0]["actor"] == {"type": "operator", "id": None}
    assert [entry["action"] for entry in await trail(customer, actor="key")] == ["topic.created", "key.created"]
    at = (await trail(customer, action="topic.created"))[0]["occurred_at"]
    assert "topic.created" in {entry["action"] for entry in await trail(customer, since=at)}
    assert "topic.created" not in {entry["action"] for entry in await trail(customer, until=at)}


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"action": "suppression.vanished"}, "#/action"),
        ({"actor": "recipient"}, "#/actor"),
        ({"key": "trk_0"}, "#/key"),
        ({"since": "yesterday"}, "#/since"),
        ({"until": "2026-11-22"}, "#/until"),
        ({"limit": "1001"}, "#/limit"),
        ({"email": EMAIL}, "#/email"),
    ],
)
async def test_parameters_are_checked_by_name(resident: Customer, parameters: dict[str, str], pointer: str) -> None:
    """422 (A7.5)."""
    assert pointers_of(await resident.api.get(AUDIT, params=parameters)) == [pointer]


async def test_cursor_is_good_for_its_own_question(served: Served, customer: Customer) -> None:
    """400 for another account's, for other filters, and for anything that is none."""
    other = await served.customer("Rook")
    for who in (customer, other):
        await put_topic(served, who)
    theirs = (await other.api.get(AUDIT, params={"limit": 1})).json()["next_cursor"]
    ours = (await customer.api.get(AUDIT, params={"limit": 1})).json()["next_cursor"]
    for parameters in ({"cursor": theirs}, {"cursor": ours, "actor": "key"}, {"cursor": "x"}):
        answer = await customer.api.get(AUDIT, params=parameters)
        assert (answer.status_code, problem_of(answer)) == (400, "bad-cursor")


def test_every_action_is_a_look_or_a_change() -> None:
    """And says in a sentence what it is."""
    assert not LOOKS.keys() & CHANGES.keys()
    assert all(re.fullmatch(r"[A-Z].*\.", words) for words in ACTIONS.values())
