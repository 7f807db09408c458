"""The journal: in the order of commits, and gone once it is trimmed."""

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.storage.databases import FILES_ALONE, Databases
from tests.storage.samples import ACCOUNT, ADDRESS_KEY, MESSAGE, NOW, OTHER_ACCOUNT, a_hit, an_opt_out, open_journal
from tracker.domain.events import Entry, EventType, Hit, Method, Undo
from tracker.storage.database import Change, Refused, Row
from tracker.storage.journal import Journal, journal_row

pytestmark = pytest.mark.anyio


async def everything(journal: Journal) -> list[Row]:
    return await journal.read(after=0, limit=100_000)


async def keys(journal: Journal) -> list[int]:
    return [row["id"] for row in await everything(journal)]


async def suppressions(databases: Databases) -> list[Row]:
    return await databases.inbox.fetch("select * from suppressions order by account_id, address_key")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
hits = st.builds(
    Hit,
    type=st.sampled_from(EventType).map(lambda member: member.value),
    account=st.binary(min_size=8, max_size=8),
    message=st.binary(min_size=16, max_size=16),
    occurred_at=st.integers(0, 2**48 - 1),
    user_agent=texts,
    network=st.none() | texts,
    referrer=st.none() | texts,
    prefetch=st.booleans(),
    link=st.none() | st.integers(0, 65_535),
    url=st.none() | texts,
    method=st.none() | st.sampled_from(Method),
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(hits, min_size=1, max_size=12))
async def test_hits_are_read_as_they_were_appended(databases: Databases, batch: Sequence[Hit]) -> None:
    """Every field, in the order in which they came, under keys that grow by one."""
    journal = await open_journal(databases)
    before = await journal.reached()
    await journal.append(batch)
    rows = [journal_row(row) for row in await journal.read(after=before, limit=100)]
    assert [row.hit for row in rows] == list(batch)
    assert [row.key for row in rows] == list(range(before + 1, before + len(batch) + 1))
    assert await journal.reached() == rows[-1].key


async def test_worker_reads_what_the_server_appends(databases: Databases) -> None:
    """The one writes the inbox, the other sees it through the main database."""
    await (await open_journal(databases)).append([a_hit()])
    assert [journal_row(row).hit for row in await everything(Journal(databases.main))] == [a_hit()]


async def test_reading_goes_on_above_a_key(databases: Databases) -> None:
    """A slice at a time, and none twice."""
    journal = await open_journal(databases)
    await journal.append([a_hit(occurred_at=number) for number in range(10)])
    assert [row["id"] for row in await journal.read(after=3, limit=4)] == [4, 5, 6, 7]
    assert await journal.read(after=10, limit=4) == []


async def test_batch_is_all_or_nothing(databases: Databases) -> None:
    """One entry that is refused takes the others with it, the opt-out too, and the head stays."""
    journal = await open_journal(databases)
    await journal.append([a_hit()])
    with pytest.raises(Refused):
        await journal.append([a_hit(), an_opt_out(), a_hit(user_agent="half a \ud800 pair")])
    assert len(await everything(journal)) == 1
    assert await suppressions(databases) == []
    assert await journal.reached() == 1
    await journal.append([a_hit()])
    assert len(await everything(journal)) == 2
    assert await journal.reached() == (await keys(journal))[-1]


async def test_row_that_no_release_of_ours_wrote_is_an_error(databases: Databases) -> None:
    """Read it is, for it has to be passed; understood it is not."""
    journal = await open_journal(databases)
    await journal.append([a_hit(), a_hit(), a_hit(type="unheard")])
    rows = await everything(journal)
    assert journal_row(rows[0]).hit == a_hit()
    with pytest.raises(ValueError, match="unheard"):
        journal_row(rows[2])


@FILES_ALONE
async def test_keys_begin_above_the_mark(databases: Databases) -> None:
    """A journal that is empty tells nothing: below the mark nobody would read."""
    journal = Journal(databases.inbox)
    await journal.open(above=41)
    assert journal.head == 0
    await journal.append([a_hit()])
    assert await keys(journal) == [42]


@FILES_ALONE
async def test_keys_grow_after_a_restart_and_a_full_trim(databases: Databases) -> None:
    """Whichever is higher, the last key of the file or the mark."""
    journal = await open_journal(databases)
    await journal.append([a_hit(), a_hit(), a_hit()])
    again = Journal(databases.inbox)
    await again.open(above=2)
    assert again.head == 3
    await again.append([a_hit()])
    assert await keys(again) == [1, 2, 3, 4]
    await again.trim(upto=4)
    emptied = Journal(databases.inbox)
    await emptied.open(above=4)
    await emptied.append([a_hit()])
    assert await keys(emptied) == [5]


async def test_failed_batch_never_gives_its_keys_again_below_the_head(databases: Databases) -> None:
    """Holes are harmless; a key that comes after a higher one would be passed by."""
    journal = await open_journal(databases)
    for bad in (True, False, True, True, False):
        with contextlib.suppress(Refused):
            await journal.append([a_hit(link=2**63 if bad else 1)])
    found = await keys(journal)
    assert len(found) == 2
    assert found == sorted(found)


async def opted_out(databases: Databases, *batches: Sequence[Entry]) -> list[Row]:
    """The rows of the journal after these batches."""
    journal = await open_journal(databases)
    for batch in batches:
        await journal.append(batch)
    return await everything(journal)


async def test_opt_out_is_a_suppression_and_a_journal_row(databases: Databases) -> None:
    """Both in one transaction; account-wide, the recipient's own, found by the address key alone."""
    opt_out = an_opt_out()
    [row] = await opted_out(databases, [opt_out])
    assert journal_row(row).hit == msgspec.structs.replace(opt_out.hit, link=None, url=None)
    [suppression] = await suppressions(databases)
    assert dict(suppression) == {
        "account_id": ACCOUNT,
        "address_key": ADDRESS_KEY,
        "scope": "account",
        "topic": "",
        "reason": "unsubscribed",
        "origin": "recipient",
        "id": opt_out.suppression,
        "message_id": MESSAGE,
        "created_at": NOW,
        "repeated_at": None,
        "email": None,
        "note": None,
    }


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "a batch each"])
async def test_opting_out_again_leaves_its_time_alone(databases: Databases, together: bool) -> None:
    """A1.13: of any number of opt-outs the first makes a suppression and an event, with its own time and message; the
    last leaves when it was."""
    opt_outs = [an_opt_out(occurred_at=NOW + number, message=bytes([number]) * 16) for number in range(7)]
    batches = [opt_outs] if together else [[one] for one in opt_outs]
    [row] = await opted_out(databases, *batches, [an_opt_out(occurred_at=NOW + 99)])
    assert (row["occurred_at"], row["message_id"]) == (NOW, bytes(16))
    [suppression] = await suppressions(databases)
    assert (suppression["created_at"], suppression["id"]) == (NOW, opt_outs[0].suppression)
    assert suppression["repeated_at"] == NOW + 99


async def test_opt_outs_of_others_are_their_own(databases: Databases) -> None:
    """Another address of the account, and the same key in another account."""
    mine, other, elsewhere = an_opt_out(), an_opt_out(address_key=bytes(16)), an_opt_out(account=OTHER_ACCOUNT)
    again = an_opt_out(address_key=bytes(16))
    rows = await opted_out(databases, [mine, a_hit(), other, an_opt_out(), elsewhere, again])
    assert sorted((row["type"], row["account_id"]) for row in rows) == [
        ("opened", ACCOUNT),
        ("unsubscribed", ACCOUNT),
        ("unsubscribed", ACCOUNT),
        ("unsubscribed", OTHER_ACCOUNT),
    ]
    assert len(await suppressions(databases)) == 3


@pytest.mark.parametrize("reason", ["unsubscribed", "complained", "bounced", "manual"])
async def test_opt_out_stands_beside_other_suppressions(databases: Databases, reason: str) -> None:
    """A block by the customer, taken away later, must not take a person's own word with it."""
    origin = "customer" if reason == "unsubscribed" else "report"
    sql = (
        "insert into suppressions (account_id, address_key, scope, topic, reason, origin, id, created_at)"
        " values (:account_id, :address_key, 'account', '', :reason, :origin, :id, 1)"
    )
    row = {"account_id": ACCOUNT, "address_key": ADDRESS_KEY, "reason": reason, "origin": origin, "id": bytes(16)}
    await databases.inbox.write(Change(sql, [row]))
    assert len(await opted_out(databases, [an_opt_out()])) == 1
    assert len(await suppressions(databases)) == 2


async def test_trim_forgets_up_to_a_key(databases: Databases) -> None:
    """And nothing above it, in slices of any size."""
    journal = await open_journal(databases)
    await journal.append([a_hit() for _ in range(25)])
    for upto, slice_rows, trimmed, left in (
        (0, 3, 0, 25),
        (4, 3, 4, 21),
        (4, 3, 0, 21),
        (20, 4, 16, 5),
        (25, 100, 5, 0),
    ):
        assert await journal.trim(upto=upto, slice_rows=slice_rows) == trimmed
        assert await keys(journal) == list(range(26 - left, 26))
    await journal.append([a_hit()])
    assert await keys(journal) == [26]


async def test_oldest_entry_is_found_above_a_key(databases: Databases) -> None:
    """By the order of commits, which clocks do not change."""
    journal = await open_journal(databases)
    assert await journal.oldest(after=0) is None
    await journal.append([a_hit(occurred_at=30), a_hit(occurred_at=10), a_hit(occurred_at=20)])
    assert [await journal.oldest(after=key) for key in range(4)] == [30, 10, 20, None]


async def test_entries_between_two_keys_are_noticed(databases: Databases) -> None:
    """Above the one and not above the other."""
    journal = await open_journal(databases)
    await journal.append([a_hit(), a_hit()])
    assert await journal.holds(after=0, upto=1)
    assert await journal.holds(after=1, upto=2)
    assert not await journal.holds(after=2, upto=9)
    assert not await journal.holds(after=0, upto=0)


async def test_beat_leaves_no_entry(databases: Databases) -> None:
    """It tells whether writing works, and nothing else."""
    journal = await open_journal(databases)
    await journal.beat()
    await journal.beat()
    assert await everything(journal) == []
    assert len(await databases.inbox.fetch("select name from heartbeat")) == 1


def an_undo(suppression: bytes, **given: Any) -> Undo:
    """A person takes that opt-out back."""
    return Undo(hit=a_hit(type=EventType.RESUBSCRIBED, method=Method.UNDO, **given), suppression=suppression)


async def test_undo_takes_the_opt_out_and_leaves_its_row(databases: Databases) -> None:
    """Both in one transaction; a second time there is nothing to take, and no row."""
    journal, opt_out = await open_journal(databases), an_opt_out()
    await journal.append([opt_out])
    await journal.append([an_undo(opt_out.suppression)])
    assert await suppressions(databases) == []
    await journal.append([an_undo(opt_out.suppression)])
    found = [journal_row(row).hit for row in await everything(journal)]
    assert [(hit.type, hit.method) for hit in found] == [("unsubscribed", "one_click"), ("resubscribed", "undo")]


async def test_undo_that_is_refused_takes_nothing(databases: Databases) -> None:
    """The opt-out stands when its event cannot be stored."""
    journal, opt_out = await open_journal(databases), an_opt_out()
    await journal.append([opt_out])
    with pytest.raises(Refused):
        await journal.append([an_undo(opt_out.suppression, user_agent="half a \ud800 pair")])
    assert len(await suppressions(databases)) == 1


async def test_opt_out_stands_beside_an_undo_of_an_earlier_one(databases: Databases) -> None:
    """Whichever of the two came first in the same batch."""
    journal, earlier = await open_journal(databases), an_opt_out()
    await journal.append([earlier])
    later = an_opt_out()
    await journal.append([later, an_undo(earlier.suppression)])
    assert [row["id"] for row in await suppressions(databases)] == [later.suppression]


_OTHER = {"reason": "complained", "origin": "customer", "account_id": OTHER_ACCOUNT}


@pytest.mark.parametrize("column", ["reason", "origin", "account_id"])
async def test_undo_takes_no_row_but_a_persons_own_opt_out(databases: Databases, column: str) -> None:
    """Not even by its id."""
    journal, opt_out = await open_journal(databases), an_opt_out()
    await journal.append([opt_out])
    await databases.inbox.change(f"update suppressions set {column} = :other", other=_OTHER[column])
    await journal.append([an_undo(opt_out.suppression)])
    assert len(await suppressions(databases)) == 1
    assert len(await everything(journal)) == 1
