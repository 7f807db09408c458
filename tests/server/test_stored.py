"""What every fault test compares at its end finds each number that does not agree."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.expectations import expect_a_good_end, expect_nothing_lost
from tests.server.harness import Server
from tests.server.ledger import Fault, Ledger, faults
from tests.server.load import Load
from tests.server.stored import read_stored

pytestmark = [pytest.mark.fault, pytest.mark.anyio]

_SPOILT = {
    "numbers with holes": "update events set sequence = 0 where sequence = 1",
    "events of unknown messages": "update events set message_id = null where sequence = 1",
    "numbers of campaigns that a recount does not give": "update campaign_counts set uniques = uniques + 1",
    "numbers of messages that a recount does not give": "update message_counts set total = total + 1",
    "messages of campaigns that a recount does not give": "update campaigns set messages = messages - 1",
    "messages of topics that a recount does not give": "update topics set messages = messages - 1",
    "a number of all events that a recount does not give": "update projection set events = events + 1",
    "rows of the journal that are not projected": """
        insert into journal (id, account_id, message_id, type, occurred_at, user_agent, prefetch)
        select mark + 1, x'00', x'00', 'opened', 0, '', 0 from projection
    """,
    "opt-outs without their event": "delete from events where type = 'unsubscribed' and sequence = "
    "(select max(sequence) from events where type = 'unsubscribed')",
    "events of opt-outs without their suppression": "delete from suppressions",
    "a log of suppressions with holes": "delete from suppression_changes where sequence = 2",
    "suppressions that their log does not give": "update suppression_changes set suppression_id = x'00' "
    "where sequence = 1",
    "journal rows set aside": "insert into refused values (x'00', 1, x'00', 'opened', 0, '', '')",
    "journal rows dropped, of accounts that do not exist": "update projection set dropped = 1",
}


async def test_every_number_that_does_not_agree_is_found(tmp_path: Path) -> None:
    """F24's controls: each number, wrong by one, in what a server at work has left."""
    ledger = Ledger()
    async with Server(tmp_path / "data") as server:
        account = await server.create_account("north")
        row = b'{"email": "ada@example.com", "reason": "manual"}'
        assert (await server.ask("POST", "/v1/suppressions", headers=account.authorization, body=row)).status == 201
        path, topic = "/v1/topics/offers", b"{}"
        assert (await server.ask("PUT", path, headers=account.authorization, body=topic)).status in (200, 201)
        async with Load(server, [account], ledger, readers=2) as load:
            await load.grows(by=200)
        await expect_nothing_lost(server, ledger)
        await expect_a_good_end(server)
    for number, (what, statement) in enumerate(_SPOILT.items()):
        folder = Path(shutil.copytree(tmp_path / "data", tmp_path / str(number)))
        assert what in found_in(folder, statement, ledger)


def found_in(folder: Path, statement: str, ledger: Ledger) -> set[str]:
    """What the comparison complains of, after this statement."""
    main, inbox = folder / "tracker.db", folder / "tracker.db.inbox"
    with closing(sqlite3.connect(main)) as database:
        database.execute("attach database ? as inbox", (str(inbox),))
        with database:
            assert database.execute(statement).rowcount > 0, statement
    return {complaint(fault) for fault in faults(ledger, read_stored(main, inbox))}


def complaint(fault: Fault) -> str:
    """What it says is wrong."""
    return str(fault.what).partition(":")[0] if fault.kind == "inconsistent" else fault.kind
