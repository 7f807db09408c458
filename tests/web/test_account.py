"""An account as its customer sees it, and what of it is the customer's to change."""

import re
from typing import Any

import pytest

from tests.web.serving import EMAIL, Customer, Served, pointers_of, problem_of, until
from tracker.domain.blocks import Kind
from tracker.storage.account_options import AccountOptions
from tracker.storage.blocks import Blocks

pytestmark = pytest.mark.anyio

ACCOUNT = "/v1/account"


async def account_of(customer: Customer) -> dict[str, Any]:
    answer = await customer.api.get(ACCOUNT)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_account_is_shown_without_its_secrets(served: Served, customer: Customer) -> None:
    """Of its own and of no other."""
    await served.customer("Rook")
    found = await account_of(customer)
    assert found == {
        "id": customer.id.hex(),
        "name": "Larkspur",
        "created_at": found["created_at"],
        "state": "active",
        "allowed_hosts": None,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["created_at"])


async def test_account_tells_what_the_operator_decided(served: Served, customer: Customer) -> None:
    """Limited, blocked, and where its links may lead."""
    async with served.place.main_database() as database:
        await AccountOptions(database).limit(customer.id, limited=True)
        await AccountOptions(database).allow_hosts(customer.id, ["example.com", "example.org"])
        found = await account_of(customer)
        assert (found["state"], found["allowed_hosts"]) == ("limited", ["example.com", "example.org"])
        await Blocks(database).add(Kind.ACCOUNT, customer.id.hex(), "spam")

    async def blocked() -> bool:
        return bool((await account_of(customer))["state"] == "blocked")

    await until(blocked)


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json"])
async def test_name_is_changed_for_everybody(served: Served, customer: Customer, kind: str) -> None:
    """The answer has it, and within a second the page that readers see."""
    other = await served.customer("Rook")
    answer = await customer.api.patch(
        ACCOUNT, content=b'{"name": "Larkspur & S\\u00f6hne"}', headers={"Content-Type": kind}
    )
    assert (answer.status_code, answer.json()["name"]) == (200, "Larkspur & Söhne")
    assert await account_of(customer) == answer.json()
    assert (await account_of(other))["name"] == "Rook"
    message = await customer.make(recipient={"email": EMAIL})

    async def shown() -> bool:
        return "Larkspur &amp; Söhne" in (await served.reader.get(message["unsubscribe_url"])).text

    await until(shown)


async def test_what_is_left_out_stays(resident: Customer) -> None:
    """RFC 7396."""
    before = await account_of(resident)
    answer = await resident.api.patch(ACCOUNT, json={})
    assert (answer.status_code, answer.json()) == (200, before)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": None}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"name": "x" * 201}, "#/name"),
        ({"name": "a\nb"}, "#/name"),
        ({"allowed_hosts": None}, "#/allowed_hosts"),
        ({"allowed_hosts": ["evil.example"]}, "#/allowed_hosts"),
        ({"state": "active"}, "#/state"),
        ({"name": "x", "limited": False}, "#/limited"),
    ],
)
async def test_what_is_not_the_customers_is_refused(resident: Customer, body: Any, pointer: str) -> None:
    """By name, and nothing changes: a stolen key cannot open what the operator closed."""
    before = await account_of(resident)
    assert pointers_of(await resident.api.patch(ACCOUNT, json=body)) == [pointer]
    assert await account_of(resident) == before


async def test_patch_is_json(resident: Customer) -> None:
    """415 names what is read."""
    answer = await resident.api.patch(ACCOUNT, content=b"<name/>", headers={"Content-Type": "text/xml"})
    assert (answer.status_code, problem_of(answer)) == (415, "unsupported-media-type")
    assert answer.headers["accept"] == "application/merge-patch+json, application/json"
