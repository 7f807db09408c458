"""Who may not be written to, and why."""

from itertools import count, permutations
from typing import Any

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, ADDRESS_KEY, OTHER_ACCOUNT, an_opt_out, open_journal
from tracker.storage.database import Change
from tracker.storage.suppressions import Standing, Suppressions

pytestmark = pytest.mark.anyio

INSERT = (
    "insert into suppressions (account_id, address_key, scope, topic, reason, origin, id, message_id, created_at)"
    " values (:account_id, :address_key, :scope, :topic, :reason, :origin, :id, null, :created_at)"
)

IDS = count()


async def suppress(databases: Databases, **given: Any) -> None:
    values = {
        "account_id": ACCOUNT,
        "address_key": ADDRESS_KEY,
        "scope": "topic" if "topic" in given else "account",
        "topic": "",
        "reason": "manual",
        "origin": "customer",
        "id": next(IDS).to_bytes(16, "big"),
        "created_at": 1,
    }
    await databases.inbox.write(Change(INSERT, [{**values, **given}]))


async def standing(databases: Databases, topic: str | None = None) -> Standing | None:
    found = await Suppressions(databases.inbox).matching(ACCOUNT, [ADDRESS_KEY], topic)
    assert set(found) <= {ADDRESS_KEY}
    return found.get(ADDRESS_KEY)


async def test_nobody_is_suppressed_without_a_row(databases: Databases) -> None:
    """And nobody asked about means nobody answered about."""
    assert await standing(databases) is None
    await suppress(databases)
    assert await Suppressions(databases.inbox).matching(ACCOUNT, [], None) == {}
    assert await Suppressions(databases.inbox).matching(ACCOUNT, [bytes(16)], None) == {}


@pytest.mark.parametrize("topic", [None, "offers", "news"])
async def test_row_of_the_account_always_matches(databases: Databases, topic: str | None) -> None:
    """A1.17: whatever topic is asked for."""
    await suppress(databases, reason="unsubscribed", created_at=7)
    assert await standing(databases, topic) == Standing("unsubscribed", "account", 7)


@pytest.mark.parametrize(("asked", "matches"), [(None, False), ("offers", True), ("news", False), ("", False)])
async def test_row_of_a_topic_matches_that_topic_alone(databases: Databases, asked: str | None, matches: bool) -> None:
    """Who wants no offers may still want news."""
    await suppress(databases, topic="offers", created_at=7)
    assert await standing(databases, asked) == (Standing("manual", "topic", 7) if matches else None)


REASONS = ("unsubscribed", "complained", "bounced", "manual")


@pytest.mark.parametrize("order", list(permutations(REASONS))[::5])
async def test_strongest_reason_shows(databases: Databases, order: tuple[str, ...]) -> None:
    """In whatever order they came: the person's own word first, the customer's last."""
    for reason in order:
        await suppress(databases, reason=reason, created_at=len(reason))
    for place, reason in enumerate(REASONS):
        assert await standing(databases) == Standing(reason, "account", len(reason))
        await databases.inbox.change("delete from suppressions where reason = :reason", reason=reason)
        assert (await standing(databases) is None) == (place == 3)


async def test_strongest_reason_shows_before_the_widest_scope(databases: Databases) -> None:
    """Of one reason the account's row, which says more."""
    await suppress(databases, reason="manual", created_at=1)
    await suppress(databases, reason="unsubscribed", topic="offers", created_at=2)
    assert await standing(databases, "offers") == Standing("unsubscribed", "topic", 2)
    await suppress(databases, reason="unsubscribed", created_at=3)
    assert await standing(databases, "offers") == Standing("unsubscribed", "account", 3)


async def test_first_row_of_a_reason_says_since_when(databases: Databases) -> None:
    """Two origins may say the same."""
    await suppress(databases, reason="unsubscribed", origin="customer", created_at=9)
    await suppress(databases, reason="unsubscribed", origin="recipient", created_at=5)
    assert await standing(databases) == Standing("unsubscribed", "account", 5)


async def test_rows_of_other_accounts_never_match(databases: Databases) -> None:
    """Not even for the same key."""
    await suppress(databases, account_id=OTHER_ACCOUNT)
    await suppress(databases, account_id=OTHER_ACCOUNT, topic="offers")
    assert await standing(databases, "offers") is None


async def test_unknown_reason_is_an_error_and_no_permission(databases: Databases) -> None:
    """A later release may know more reasons: whoever does not understand must not say "allowed"."""
    await suppress(databases, reason="unheard")
    with pytest.raises(ValueError, match="not in tuple"):
        await standing(databases)


async def test_ten_thousand_are_asked_for_at_once(databases: Databases) -> None:
    """Each is answered for itself; asking for one twice does no harm."""
    keys = [number.to_bytes(16, "big") for number in range(10_000)]
    for number in (0, 1, 4_999, 9_999):
        await suppress(databases, address_key=keys[number], created_at=number)
    found = await Suppressions(databases.inbox).matching(ACCOUNT, [*keys, keys[1]], "offers")
    assert {key: one.since for key, one in found.items()} == {keys[number]: number for number in (0, 1, 4_999, 9_999)}


async def test_opt_out_is_seen_by_the_next_question(databases: Databases) -> None:
    """A1.16: once it is acknowledged, in every process."""
    journal = await open_journal(databases)
    for number in range(20):
        key = bytes([number]) * 16
        await journal.append([an_opt_out(address_key=key, occurred_at=number)])
        for database in databases:
            found = await Suppressions(database).matching(ACCOUNT, [key], None)
            assert found == {key: Standing("unsubscribed", "account", number)}
