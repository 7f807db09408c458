"""What was deleted goes while all else goes on, and whoever starts anew goes on where another was stopped."""

import asyncio
import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.storage.databases import Databases, sqlite
from tests.storage.samples import (
    ACCOUNT,
    CURL,
    NOW,
    a_hit,
    add_accounts,
    add_message,
    an_opt_out,
    contents,
    open_journal,
    rows_of,
)
from tests.storage.test_campaigns import delete, feed
from tests.workers.states import until
from tests.workers.test_projector import a_projector, caught_up, expect_agreement
from tracker.domain.events import Entry
from tracker.storage.erasures import Deletion, Erasures
from tracker.storage.journal import Journal
from tracker.workers.eraser import Eraser

pytestmark = pytest.mark.anyio

NEEDLE = "a needle of a user agent"


def an_eraser(databases: Databases, erasures: Erasures | None = None, **options: Any) -> Eraser:
    """An eraser that waits for nobody."""
    given = {"turns": asyncio.Lock(), "slice_rows": 3, "interval_s": 0.002, "longest_pause_s": 0.01, **options}
    return Eraser(erasures or Erasures(databases.main), **given)


async def project(databases: Databases, journal: Journal, *entries: Entry) -> None:
    await journal.append(entries)
    projector = a_projector(databases)
    while await projector.turn():
        pass


async def nothing_left(databases: Databases) -> bool:
    return not await databases.main.fetch("select 1 from campaign_deletions where erasing = 1")


async def test_campaign_is_erased_slice_by_slice(databases: Databases) -> None:
    """And then its end is told, and nothing is left to do."""
    await add_accounts(databases, ACCOUNT)
    message, journal = await add_message(databases), await open_journal(databases)
    await project(databases, journal, *(a_hit(message=message, occurred_at=NOW + number) for number in range(7)))
    await delete(databases)
    eraser, left = an_eraser(databases), []
    while await eraser.turn():
        left.append(len(await rows_of(databases, "events")))
    assert left == [4, 1, 0, 0]
    assert await nothing_left(databases)
    assert not await eraser.turn()


async def test_small_campaign_does_not_wait_for_a_large_one(databases: Databases) -> None:
    """A slice of each, in turn."""
    await add_accounts(databases, ACCOUNT)
    journal = await open_journal(databases)
    for campaign, events in (("a", 30), ("b", 2)):
        message = await add_message(databases, campaign=campaign)
        await project(databases, journal, *(a_hit(message=message, occurred_at=NOW + n) for n in range(events)))
        await delete(databases, campaign)
    eraser = an_eraser(databases)
    for _ in range(4):
        await eraser.turn()
    rows = await databases.main.fetch("select campaign, erasing from campaign_deletions order by 1")
    assert [tuple(row.values()) for row in rows] == [("a", 1), ("b", 0)]


async def test_numbers_are_given_in_turn(databases: Databases, caplog: pytest.LogCaptureFixture) -> None:
    """Erasing and projecting at once: neither has to start over, no number is missing, all numbers agree."""
    await add_accounts(databases, ACCOUNT)
    journal, turns = await open_journal(databases), asyncio.Lock()
    stays, messages = await add_message(databases, campaign="autumn"), []
    async with a_projector(databases, turns=turns, slice_rows=4), an_eraser(databases, turns=turns):
        for campaign in ("a", "b", "c"):
            messages.append(await add_message(databases, campaign=campaign))
            for number in range(20):
                given = {"occurred_at": NOW + number, "user_agent": CURL} if number % 2 else {}
                await journal.append([a_hit(message=message, **given) for message in (stays, *messages)])
            await delete(databases, campaign)
        await until(lambda: caught_up(databases))
        await until(lambda: nothing_left(databases))
    entries = await feed(databases)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert {row["campaign"] for row in await rows_of(databases, "events")} == {"autumn"}
    assert [row["total"] for row in await rows_of(databases, "campaign_counts")] == [30, 30]
    assert {row["message_id"] for row in await rows_of(databases, "message_counts")} == {stays}
    assert caplog.records == []


async def test_hits_of_a_deleted_campaign_are_dropped_but_for_opt_outs(databases: Databases) -> None:
    """Those that were in the journal by then as well as later ones. What a person decides is the account's."""
    await add_accounts(databases, ACCOUNT)
    message, journal = await add_message(databases, topic="offers"), await open_journal(databases)
    await journal.append([a_hit(message=message), an_opt_out(message=message)])
    await delete(databases)
    entries = [a_hit(message=message, type=kind) for kind in ("opened", "clicked", "resubscribed")]
    await project(databases, journal, *entries)
    found = [(row["type"], row["campaign"], row["topic"]) for row in await rows_of(databases, "events")]
    assert sorted(found) == [("resubscribed", "", "offers"), ("unsubscribed", "", "offers")]
    assert {row["message_id"] for row in await rows_of(databases, "events")} == {message}
    assert [row["dropped"] for row in await rows_of(databases, "projection")] == [3]
    await expect_agreement(databases)
    async with an_eraser(databases):
        await until(lambda: nothing_left(databases))
    assert len(await rows_of(databases, "events")) == 2
    await expect_agreement(databases)


class Stops(Erasures):
    """Is cut off, each time at the next step."""

    async def erase(self, deletion: Deletion, *, limit: int) -> int:
        await super().erase(deletion, limit=limit)
        raise RuntimeError("cut off")


async def test_eraser_goes_on_where_another_was_cut_off(databases: Databases) -> None:
    """After every slice, before it could be told that it was stored."""
    await add_accounts(databases, ACCOUNT)
    message, journal = await add_message(databases), await open_journal(databases)
    await project(databases, journal, *(a_hit(message=message, occurred_at=NOW + number) for number in range(7)))
    await delete(databases)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await an_eraser(databases, Stops(databases.main)).turn()
    assert await rows_of(databases, "events") == []
    assert [entry.sequence for entry in await feed(databases)] == list(range(1, 15))
    assert await an_eraser(databases).turn()
    assert await nothing_left(databases)


async def test_eraser_outlives_an_outage(databases: Databases, caplog: pytest.LogCaptureFixture) -> None:
    """It says so, names nothing of the campaign, and goes on when it can."""
    await add_accounts(databases, ACCOUNT)
    message, journal = await add_message(databases, campaign="secret plan"), await open_journal(databases)
    await project(databases, journal, a_hit(message=message))
    before = await contents(databases, "accounts", "erased_events")
    await databases.main.change("alter table message_counts rename to hidden")
    await delete(databases, "secret plan")
    async with an_eraser(databases):
        with caplog.at_level(logging.WARNING):
            await until(lambda: len(caplog.records) > 2)
        assert await contents(databases, "accounts", "erased_events") == before
        await databases.main.change("alter table hidden rename to message_counts")
        await until(lambda: nothing_left(databases))
    assert caplog.records[0].getMessage().startswith("erasing pauses for ")
    assert "secret plan" not in caplog.text


def files_with_needle(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if NEEDLE.encode() in file.read_bytes()}


async def test_erased_events_are_gone_from_the_disk(tmp_path: Path) -> None:
    """E-6: neither the file nor its log holds a user agent, once nobody reads what was there before."""
    async with sqlite(tmp_path) as databases:
        await add_accounts(databases, ACCOUNT)
        message, journal = await add_message(databases), await open_journal(databases)
        agents = [f"{NEEDLE} {number}" for number in range(3_000)]
        await project(databases, journal, *(a_hit(message=message, user_agent=agent) for agent in agents))
        await journal.trim(upto=await journal.reached())
        await databases.main.scrub()
        assert files_with_needle(tmp_path) == {"tracker.db"}
        with contextlib.closing(sqlite3.connect(tmp_path / "tracker.db", isolation_level=None)) as reader:
            reader.execute("begin")
            reader.execute("select count(*) from events").fetchall()
            await delete(databases)
            async with an_eraser(databases, slice_rows=500):
                await until(lambda: no_events(databases))
                assert not await nothing_left(databases)
                reader.execute("rollback")
                await until(lambda: nothing_left(databases))
        assert files_with_needle(tmp_path) == set()


async def no_events(databases: Databases) -> bool:
    return await rows_of(databases, "events") == []
