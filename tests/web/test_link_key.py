"""A customer's own click key makes links that lead on, and nothing else that anybody believes."""

from base64 import urlsafe_b64decode
from typing import Any

import pytest

from tests.web.serving import SHOP, Customer, Served, pointers_of, token_of
from tracker.domain.ids import parse_account_id, parse_id
from tracker.domain.keys import signer_with
from tracker.domain.links import ClickKey, Link

pytestmark = pytest.mark.anyio


async def link_key(customer: Customer) -> dict[str, Any]:
    """What the customer is told."""
    answer = await customer.api.get("/v1/link-key")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def key_in(answer: dict[str, Any]) -> ClickKey:
    """What a client library makes of the answer, and of nothing else."""
    key = urlsafe_b64decode(answer["key"] + "=")
    return ClickKey(number=answer["key_id"], account=parse_account_id(answer["account"]), key=key)


async def test_link_made_with_the_answer_alone_leads_on_and_counts(served: Served, customer: Customer) -> None:
    """The server follows it as its own: 302 to the destination, and an event of that message."""
    made = await customer.make(html=None)
    answer = await link_key(customer)
    assert set(answer) == {"key_id", "account", "base_url", "key"}
    token = key_in(answer).sign_click(parse_id(made["id"]), 7, SHOP)
    click = await served.reader.get(f"{answer['base_url']}/c/{token}")
    assert (click.status_code, click.headers["location"]) == (302, SHOP)
    [event] = await customer.events(type="clicked")
    assert (event["message_id"], event["link"], event["url"]) == (made["id"], 7, SHOP)


async def test_link_is_the_same_as_the_server_makes(standing: Served, resident: Customer) -> None:
    """Character for character."""
    message = bytes(range(16))
    token = key_in(await link_key(resident)).sign_click(message, 0, SHOP)
    assert token == standing.links.sign_click(resident.id, message, 0, SHOP)
    assert standing.links.read_click(token) == Link(resident.id, message, 0, SHOP)


async def test_key_signs_for_nothing_but_clicks(standing: Served, resident: Customer) -> None:
    """An open is not recorded, and an opt-out and a preference page are not found."""
    made = await resident.make(topic="forged")
    key = key_in(await link_key(resident))
    for url in (made["open_url"], made["unsubscribe_url"], made["preferences_url"]):
        text, _, signature = token_of(url).rpartition(".")
        forged = signer_with(key.key).get_signature(text).decode()
        assert forged != signature
        answer = await standing.reader.post(url.replace(signature, forged))
        assert answer.status_code in (404, 405)
        await standing.reader.get(url.replace(signature, forged))
    assert await resident.events(topic="forged") == []
    assert await resident.may_write_to()


async def test_key_signs_for_nobody_else(standing: Served, resident: Customer) -> None:
    """With another's account in it, a link is none."""
    other = await standing.customer("Rook")
    ours, theirs = key_in(await link_key(resident)), key_in(await link_key(other))
    assert ours.key != theirs.key
    forged = ClickKey(number=ours.number, account=other.id, key=ours.key).sign_click(bytes(16), 0, SHOP)
    assert (await standing.reader.get(f"/c/{forged}")).status_code == 404
    honest = theirs.sign_click(bytes(16), 0, SHOP)
    assert (await standing.reader.get(f"/c/{honest}")).status_code == 302


async def test_key_makes_no_open_redirect(standing: Served, resident: Customer) -> None:
    """What no link may lead to is refused, signed or not."""
    key = key_in(await link_key(resident))
    for destination in ("javascript:alert(1)", "//evil.example/", "https://user@evil.example/", "https://a.example/ b"):
        token = key.sign_click(bytes(16), 0, destination)
        assert (await standing.reader.get(f"/c/{token}")).status_code == 404


async def test_key_is_derived_and_not_the_secret(standing: Served, resident: Customer) -> None:
    """Nobody learns what signs for all."""
    written = (await link_key(resident))["key"]
    assert len(written) == 43
    secrets = standing.files.main.with_name("tracker.db.keys").read_text("utf-8")
    assert written not in secrets
    key = key_in(await link_key(resident))
    assert repr(key.key) not in repr(key)


async def test_key_needs_the_scope(standing: Served) -> None:
    """403 names what is missing."""
    other = await standing.customer("Rook", scopes=["events"])
    answer = await other.api.get("/v1/link-key")
    assert (answer.status_code, answer.json()["scope"]) == (403, "messages")


async def test_parameters_are_refused_by_name(resident: Customer) -> None:
    """There are none."""
    assert pointers_of(await resident.api.get("/v1/link-key", params={"account": "x"})) == ["#/account"]
