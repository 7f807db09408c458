"""A receipt is stored with its effect or not at all, is found by its own account alone, and dies after a day."""

from typing import Any

import pytest

from tests.storage.databases import Databases
from tests.storage.samples import ACCOUNT, NOW, OTHER_ACCOUNT, a_hit, a_message, an_entry, contents, open_journal
from tests.storage.test_suppression_rows import a_row, store
from tracker.domain.events import EventType, Method, Undo
from tracker.domain.ids import new_id
from tracker.domain.receipts import KEPT_FOR_MS, Receipt
from tracker.storage.database import Database, Stale
from tracker.storage.messages import Messages
from tracker.storage.receipts import _SLICE_ROWS, Receipts, kept

pytestmark = pytest.mark.anyio

ROUTE = "/v1/messages"
KEY = bytes(range(32, 48))


def a_receipt(**given: Any) -> Receipt:
    """Of a message that was made just now."""
    values: dict[str, Any] = {
        "account": ACCOUNT,
        "route": ROUTE,
        "key": KEY,
        "fingerprint": bytes(16),
        "made": b"\x01",
        "created_at": NOW,
    }
    return Receipt(**{**values, **given})


def receipts_of(database: Database) -> Receipts:
    """Those of this file."""
    return Receipts(database, database.write)


async def find(database: Database, now: int = NOW, **given: Any) -> Receipt | None:
    """The receipt of :func:`a_receipt`, or of another key."""
    wanted = {"account": ACCOUNT, "route": ROUTE, "key": KEY, **given}
    return await receipts_of(database).find(wanted["account"], wanted["route"], wanted["key"], now=now)


@pytest.mark.parametrize("file", ["main", "inbox"])
async def test_receipt_is_found_by_account_route_and_key_together(databases: Databases, file: str) -> None:
    """A10.6: and in the file it was written to."""
    database: Database = getattr(databases, file)
    await database.write(*kept(a_receipt()))
    assert await find(database) == a_receipt()
    for other in ({"account": OTHER_ACCOUNT}, {"route": "/v1/suppressions"}, {"key": bytes(16)}):
        assert await find(database, **other) is None
    elsewhere = databases.inbox if file == "main" else databases.main
    assert await find(elsewhere) == (a_receipt() if databases.main.whole else None)


async def test_receipt_holds_for_a_day(databases: Databases) -> None:
    """A10.7: to the millisecond, whether or not it was removed yet; then its key is free."""
    await databases.main.write(*kept(a_receipt()))
    end = NOW + KEPT_FOR_MS
    assert await find(databases.main, end - 1) == a_receipt()
    assert await find(databases.main, end) is None
    with pytest.raises(Stale):
        await databases.main.write(*kept(a_receipt(created_at=end - 1)))
    await databases.main.write(*kept(a_receipt(created_at=end, made=b"\x02")))
    assert await find(databases.main, end) == a_receipt(created_at=end, made=b"\x02")


async def test_what_has_expired_is_removed_from_every_account(databases: Databases) -> None:
    """And nothing that has not, however much there is."""
    old = [a_receipt(key=number.to_bytes(16, "big")) for number in range(2 * _SLICE_ROWS + 1)]
    theirs = [a_receipt(account=OTHER_ACCOUNT), a_receipt(account=b"account3", created_at=NOW + 1)]
    young = [a_receipt(created_at=NOW + 1), a_receipt(account=OTHER_ACCOUNT, route="/v1/x", created_at=NOW + 1)]
    await databases.main.write(*(change for one in (*old, *theirs, *young) for change in kept(one)))
    receipts = receipts_of(databases.main)
    assert await receipts.expire(now=NOW + KEPT_FOR_MS - 1) == 0
    assert await receipts.expire(now=NOW + KEPT_FOR_MS) == len(old) + 1
    (left,) = (await contents(databases, "receipts")).values()
    assert len(left) == 3
    assert {row["created_at"] for row in left} == {NOW + 1}


async def test_effect_is_undone_when_the_key_is_taken(databases: Databases) -> None:
    """A10.8: of two that came at once, one has an effect."""
    messages, first, second = Messages(databases.main), a_message(), a_message()
    await messages.add(first, receipt=a_receipt())
    with pytest.raises(Stale):
        await messages.add(second, receipt=a_receipt(made=b"\x02"))
    with pytest.raises(Stale):
        await messages.mark_sent(ACCOUNT, {first.id: NOW}, a_receipt())
    assert await messages.find(ACCOUNT, second.id) is None
    found = await messages.find(ACCOUNT, first.id)
    assert found is not None
    assert found.sent_at is None
    assert await find(databases.main) == a_receipt()


async def test_receipt_is_undone_with_its_effect(databases: Databases) -> None:
    """A10.8: and the other way round."""
    twice = a_message()
    with pytest.raises((ValueError, Stale)):
        await Messages(databases.main).add(twice, twice, receipt=a_receipt())
    assert await find(databases.main) is None


async def test_row_of_a_suppression_comes_with_its_receipt(databases: Databases) -> None:
    """Which is told what stands, and whether that is new."""
    rows, told = store(databases), []

    def receipt(row: Any, new: bool) -> Receipt:
        told.append((row, new))
        return a_receipt(key=len(told).to_bytes(16, "big"))

    given = [a_row(), a_row()]
    answers = [await rows.add(row, an_entry, receipt) for row in given]
    assert told == answers
    assert [new for _, new in told] == [True, False]
    with pytest.raises(Stale):
        await rows.add(a_row(reason="bounced"), an_entry, lambda *_: a_receipt(key=(1).to_bytes(16, "big")))
    assert len((await contents(databases, "suppressions"))["suppressions"]) == 1


async def test_journal_keeps_receipts_of_what_it_undoes(databases: Databases) -> None:
    """The first stands: an undo that comes again changes nothing, and fails none that commits with it."""
    journal = await open_journal(databases)
    hit = a_hit(type=EventType.RESUBSCRIBED, method=Method.LIFT)
    undo = Undo(hit=hit, suppression=new_id(), receipt=a_receipt())
    again = Undo(hit=hit, suppression=new_id(), receipt=a_receipt(made=b"\x02"))
    await journal.append([undo])
    await journal.append([a_hit(), again])
    assert await find(databases.inbox) == a_receipt()
    assert len(await journal.read(after=0, limit=10)) == 1
