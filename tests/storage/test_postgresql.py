"""PostgreSQL: how statements are planned, what an outage does, and what is stored when an answer is lost."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Server, a_server
from tests.storage.databases import SECRETS, Databases, postgresql
from tests.storage.samples import ACCOUNT, OTHER_ACCOUNT, a_hit, add_accounts, an_opt_out, open_journal, rows_of
from tests.storage.test_isolation import FENCE, PARTS_OF_WALKS, walks
from tests.workers.states import until
from tracker.domain.events import Entry
from tracker.storage.database import BadDatabase, Change, Refused, Row, Unavailable
from tracker.storage.journal import Journal
from tracker.storage.migrations import migrations
from tracker.storage.postgresql import PostgreSQL, _overlay, _statement
from tracker.storage.shared import PARTS, SharedDatabase
from tracker.storage.shared_journal import SharedJournal
from tracker.storage.statements import load_statements

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

SUBJECTS = [script.name.removesuffix(".sql") for script in (resources.files("tracker.storage") / "sql").iterdir()]
OVERLAYS = [script.name.removesuffix(".sql") for script in (resources.files("tracker.storage") / "overlay").iterdir()]

INSERT = "insert into topics (account_id, name, id, created_at, messages) values (:account_id, :name, :id, 1, 0)"


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    async with postgresql(tmp_path) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[Server]:
    """One of its own, to be stopped."""
    one = a_server()
    yield one
    one.remove()


def statements() -> Iterator[tuple[str, str]]:
    """Every whole statement, and questions with each of their parts."""
    yield from ((f"sql/{name}", sql) for name, sql in walks())
    for folder, subjects in (("sql", SUBJECTS), ("overlay", OVERLAYS)):
        for subject in subjects:
            parts = load_statements(subject, folder)
            for name, sql in parts.items():
                if subject == "events" and (name in PARTS_OF_WALKS or sql.startswith("offset ")):
                    continue
                if "{" in sql or re.match(
                    r"and |order by |create |select set_config|select \* from unnest$|on conflict", sql
                ):
                    continue
                yield f"{folder}/{subject}.{name}", sql
                if name.startswith("select_"):
                    ends = (part for part in parts.values() if re.match("and |order by ", part))
                    yield from ((f"{folder}/{subject}.{name} {end}", f"{sql} {end}") for end in ends)


STATEMENTS = dict(statements())

READ_WHOLE = {
    "journal_id_seq",
    "accounts",
    "blocks",
    "directory",
    "heartbeat",
    "installations",
    "projection",
    "pg_stat_database",
    "schema_versions",
    "signing_keys",
}
"""Tables of a few rows; and the accounts, which the directory in memory holds all of."""


async def plan(database: PostgreSQL, sql: str) -> str:
    """What PostgreSQL would do where tables are large: with no value to look at, and no small table to make an
    exception for."""
    names = _statement(sql).names
    text = _statement(sql).text
    values: dict[str, Any] = {name: [] if re.search(rf"\bin \(:{name}\)", sql) else None for name in names}

    async def explain(writer: Any) -> str:
        async with writer.transaction():
            await writer.execute("set local enable_seqscan = off")
            await writer.execute("set local plan_cache_mode = force_generic_plan")
            found = await writer.fetch(f"explain {text}", *(values[name] for name in names))
        return "\n".join(row[0] for row in found)

    return await database._to_its_end(database._worked(explain))


async def test_every_statement_is_planned_and_none_reads_a_whole_table(databases: Databases) -> None:
    """Those of the overlay too: of what grows, each is found by an index."""
    main = databases.main
    assert isinstance(main, PostgreSQL)
    scanned = {}
    for name, sql in STATEMENTS.items():
        tables = set(re.findall(r"Seq Scan on (\w+)", await plan(main, sql))) - READ_WHOLE
        if tables:
            scanned[name] = tables
    assert set(scanned) <= {"sql/api_keys.everybodys_api_keys"}, scanned


def test_overlay_stands_for_statements_that_are_there() -> None:
    """A name that no longer is would be a statement nobody runs."""
    for subject in set(OVERLAYS) & set(SUBJECTS):
        assert set(load_statements(subject, "overlay")) <= set(load_statements(subject))
    assert len(_overlay()) >= 6


def test_overlay_keeps_every_fence_between_accounts() -> None:
    """B-7: a statement for PostgreSQL names the account wherever the shared one does, which is tried row by row."""
    for shared, own in _overlay().items():
        assert len(FENCE.findall(own)) == len(FENCE.findall(shared)), own


async def test_text_is_compared_byte_by_byte_and_keys_are_wide(databases: Databases) -> None:
    """Whatever the language of the server: an order that its system library changes would break an index."""
    found = await databases.main.fetch(
        "select table_name as t, column_name as c, data_type as d, collation_name as n"
        " from information_schema.columns where table_schema = 'public'"
    )
    assert {row["n"] for row in found if row["d"] == "text"} == {"C"}
    assert not [row for row in found if row["d"] == "integer"]


async def test_session_is_durable_and_has_an_end(databases: Databases) -> None:
    """Even where the server's own setting would acknowledge what it may lose; readers cannot write."""
    settings = "select current_setting('synchronous_commit') as c, current_setting('statement_timeout') as t"
    assert [dict(row) for row in await databases.main.fetch(settings)] == [{"c": "on", "t": "10s"}]
    assert [row["c"] for row in await databases.main.change(settings)] == ["on"]
    for _ in range(3):  # what the driver resets between two questions would be gone
        with pytest.raises(Unavailable, match="read-only"):
            await databases.main.fetch("delete from accounts")


async def test_circle_of_locks_is_begun_again(databases: Databases) -> None:
    """PostgreSQL ends one of the two; a transaction is a value, so it is simply carried out again."""
    await add_accounts(databases, ACCOUNT, OTHER_ACCOUNT)
    rename = "update accounts set name = name || :more where id = :id"
    change = {one: Change(rename, [{"id": one, "more": "!"}]) for one in (ACCOUNT, OTHER_ACCOUNT)}
    slow = Change("select pg_sleep(:seconds)", [{"seconds": 0.3}])
    await asyncio.gather(
        databases.main.write(change[ACCOUNT], slow, change[OTHER_ACCOUNT]),
        databases.inbox.write(change[OTHER_ACCOUNT], slow, change[ACCOUNT]),
    )
    assert {row["name"][-2:] for row in await rows_of(databases, "accounts")} == {"!!"}


async def test_refusal_says_nothing_of_the_values(databases: Databases) -> None:
    """A log may hold it."""
    row = {"account_id": ACCOUNT, "name": "ada@example.com", "id": bytes(16)}
    await databases.main.write(Change(INSERT, [row]))
    for bad in (row, {**row, "name": "ada@example.com\0"}, {**row, "name": "ada@example.com\ud800"}):
        with pytest.raises(Refused) as caught:
            await databases.main.write(Change(INSERT, [bad]))
        assert "ada" not in str(caught.value)


class LosesAnswers:
    """A database whose answer to a write is lost, after it was carried out or instead of that."""

    def __init__(self, database: PostgreSQL) -> None:
        self._database = database
        self.loses = ""
        self.loses_claim = False
        self.whole, self.fetch = True, database.fetch

    async def change(self, sql: str, /, **params: object) -> list[Row]:
        rows = await self._database.change(sql, **params)
        loses, self.loses_claim = self.loses_claim, False
        if loses:
            raise Unavailable("the connection was lost")
        return rows

    async def write(self, *changes: Change) -> None:
        loses, self.loses = self.loses, ""
        if loses != "before":
            await self._database.write(*changes)
        if loses:
            raise Unavailable("the connection was lost")


@pytest.mark.parametrize("loses_claim", [False, True], ids=["", "and the answer to the question"])
@pytest.mark.parametrize("loses", ["before", "after"])
@pytest.mark.parametrize("batch", [[a_hit(), a_hit()], [a_hit(), an_opt_out()]], ids=["hits", "with an opt-out"])
async def test_entries_of_a_lost_answer_are_stored_once(
    databases: Databases, loses: str, batch: list[Entry], loses_claim: bool
) -> None:
    """Whether or not they were stored, and together with others that come at the same time."""
    database = LosesAnswers(databases.inbox)  # type: ignore[arg-type]
    journal = SharedJournal(database)  # type: ignore[arg-type]
    await journal.append([a_hit(occurred_at=1)])
    database.loses = loses
    with pytest.raises(Unavailable):
        await journal.append(batch)
    if loses_claim:
        database.loses_claim = True
        with pytest.raises(Unavailable):
            await journal.append(batch)
    await journal.append([a_hit(occurred_at=2), *batch])
    await journal.append([a_hit(occurred_at=3)])
    rows = await journal.read(after=0, limit=100)
    assert len(rows) == 3 + len(batch)


async def test_batch_that_was_asked_about_is_never_stored_later(databases: Databases) -> None:
    """What hangs in the network arrives after its entries were stored again: it changes nothing."""
    journal = SharedJournal(databases.inbox)
    late = PostgreSQL(databases.inbox._url)  # type: ignore[attr-defined]
    await journal.append([a_hit()])
    async with late:
        delayed = SharedJournal(late)
        delayed._writer, delayed._batch = journal._writer, journal._batch
        await databases.inbox.change(
            load_statements("shared_journal", "overlay")["claim_batch"],
            writer=journal._writer,
            batch=2**52,
            claim=2**52 + 1,
        )
        await delayed.append([a_hit()])
    assert len(await journal.read(after=0, limit=10)) == 1


async def test_several_writers_append_at_once(databases: Databases) -> None:
    """Under keys of their own; whoever opts out at two servers at once opts out once."""
    journals = [SharedJournal(databases.inbox), SharedJournal(databases.main)]
    for _ in range(5):
        ours, theirs = ([an_opt_out(address_key=bytes([number]) * 16) for number in range(9)] for _ in range(2))
        await asyncio.gather(journals[0].append([a_hit(), *ours]), journals[1].append([a_hit(), *reversed(theirs)]))
    rows = await journals[0].read(after=0, limit=100)
    assert sorted(row["type"] for row in rows) == ["opened"] * 10 + ["unsubscribed"] * 9
    assert len(await rows_of(databases, "suppressions")) == 9


async def test_one_is_alone_until_its_connection_ends(databases: Databases) -> None:
    """Then the next one is, and the first is told."""
    main = databases.main
    assert isinstance(main, PostgreSQL)
    order = []

    async def second() -> None:
        async with main.alone(1, poll_s=0.01):
            order.append("second")

    async with main.alone(1) as lost:
        waiting = asyncio.create_task(second())
        await asyncio.wait({waiting}, timeout=0.1)
        order.append("first")
        await main.change("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted")
        await waiting
        await asyncio.wait_for(lost.wait(), 10)
    assert order == ["first", "second"]


async def test_database_comes_back_by_itself(server: Server) -> None:
    """After a crash of the server: reads and writes fail at once meanwhile, and what was stored is there."""
    shared = SharedDatabase(server.url(await server.create()))
    await shared.prepare(SECRETS)
    async with shared.main_database() as main, shared.inbox_database() as inbox:
        journal = await open_journal(Databases(main, inbox))
        await journal.append([a_hit()])
        server.stop("immediate")
        for asked in (journal.append([a_hit()]), journal.beat(), journal.read(after=0, limit=1), main.write()):
            with pytest.raises(Unavailable):
                await asked
        server.start()
        await until(lambda: answers(journal))
        await journal.append([a_hit()])
        assert len(await Journal(main).read(after=0, limit=10)) == 2


async def answers(journal: Journal) -> bool:
    try:
        await journal.beat()
    except Unavailable:
        return False
    return True


async def test_scripts_are_applied_once_when_two_nodes_migrate_at_once(server: Server) -> None:
    """Whoever comes second finds all of it done."""
    url = server.url(await server.create())
    done = await asyncio.gather(*(SharedDatabase(url).prepare(SECRETS) for _ in range(4)))
    every = [f"{part}/{one.name}" for part in PARTS for one in migrations(part)]
    assert sorted(len(one.applied) for one in done) == [0, 0, 0, len(every)]
    assert [one.new for one in done].count(True) == 1


async def test_database_that_cannot_be_used_is_refused_with_what_to_do(server: Server) -> None:
    """Its encoding is for its life."""
    await server.administer("create database latin encoding 'LATIN1' locale 'C' template template0")
    with pytest.raises(BadDatabase, match="encoded in LATIN1: make one with create database"):
        await SharedDatabase(server.url("latin")).prepare(SECRETS)
    with pytest.raises(BadDatabase, match="holds no installation"):
        await SharedDatabase(server.url("postgres")).refuse_unready()
