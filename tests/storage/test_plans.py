"""How SQLite goes about each statement: by an index, and within one account."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import resources
from itertools import combinations, product
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from tests.storage.databases import Databases, sqlite
from tests.storage.samples import ACCOUNT, add_accounts, an_event, store_events
from tracker.storage.database import Database, Row
from tracker.storage.events import EventFilter, Events
from tracker.storage.statements import list_names, load_statements

pytestmark = pytest.mark.anyio

SUBJECTS = [script.name.removesuffix(".sql") for script in (resources.files("tracker.storage") / "sql").iterdir()]

ACROSS_ACCOUNTS = {
    "accounts.all_accounts": "the directory in memory holds every account",
    "accounts.any_account": "whether a database is lived in",
    "accounts.list_accounts": "the operator's own command",
    "accounts.samples": "the inspection looks at every account",
    "audit.next_account": "from one account to the next, where old entries may be",
    "inbox_audit.next_account": "from one account to the next, where old entries may be",
    "api_keys.open_api_key": "the key is what proves the account",
    "api_keys.api_key": "a key is found by its id, and then it has to be the account's",
    "api_keys.everybodys_api_keys": "the operator's own command",
    "api_keys.revoke_api_key": "a key is found by its id, and then it has to be the account's",
    "api_keys.revoke_any_api_key": "the operator's own command, which names the key",
    "erasures.next_deletion": "the worker erases whosever it is, one account after the other",
    "blocks.allowed_hosts": "every process asks them at every click",
    "journal.read_after": "the journal is the installation's, and the projector sorts it out",
    "journal.between": "the journal is the installation's",
    "journal.oldest_after": "the journal is the installation's",
    "journal.last_key": "the journal is the installation's",
    "journal.first_key": "the journal is the installation's",
    "journal.trim": "the journal is the installation's",
    "projections.take": "the journal is the installation's",
    "receipts.next_account": "what is old is forgotten account after account",
}
"""The statements that may look at the rows of more than one account, and why."""

SMALL = {"blocks", "directory", "heartbeat", "installations", "projection", "schema_versions", "signing_keys"}
"""Tables of a few rows that are nobody's."""

OPEN = {"events.event_columns", "events.edge_of_walk"}
"""The beginnings of questions."""

GIVEN = {"CONSTANT", "d"}
"""What a statement calls the rows it is given."""

ALIASES = {"e": "events", "w": "events", "m": "messages", "r": "recipients", "s": "messages", "p": "messages"}


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    """The plans of other databases look different."""
    async with sqlite(tmp_path) as opened:
        yield opened


def statements() -> Iterator[tuple[str, str]]:
    """Every whole statement, by subject and name; the parts of questions are put together in another test."""
    for subject in SUBJECTS:
        for name, sql in load_statements(subject).items():
            if not re.match(r"and |order by |limit |offset |(-- .*\n)?from ", sql) and f"{subject}.{name}" not in OPEN:
                yield f"{subject}.{name}", sql


STATEMENTS = dict(statements())


async def steps(database: Database, sql: str) -> list[str]:
    """What SQLite would do, step by step."""
    lists = list_names(sql)
    params = {name: [b""] * 5 if name in lists else None for name in re.findall(r":([a-z_]+)", sql)}
    return [row["detail"] for row in await database.fetch(f"explain query plan {sql}", **params)]


def offences(plan: list[str]) -> list[str]:
    """The steps that read a table without the account, or without an index."""
    found = []
    for step in plan:
        match = re.match(r"(SCAN|SEARCH) (\w+)(?: (.*))?$", step)
        table = ALIASES.get(match[2], match[2]) if match else ""
        if not match or table in SMALL or match[2] in GIVEN:
            continue
        if match[1] == "SCAN" and {f"CO-ROUTINE {match[2]}", f"MATERIALIZE {match[2]}"} & set(plan):
            # What was gathered, which another step has found.
            continue
        leads = r".*\(id=\?" if table == "accounts" else r".*\(account_id=\?"
        if match[1] == "SCAN" or not re.match(leads, match[3] or ""):
            found.append(step)
    return found


async def test_statements_stay_within_an_account_and_use_an_index(databases: Databases) -> None:
    """B-7: and those that may not, need to: the list of exceptions holds nothing else."""
    found = {name: offences(await steps(databases.main, sql)) for name, sql in STATEMENTS.items()}
    assert {name for name, offending in found.items() if offending} == set(ACROSS_ACCOUNTS), found


async def test_exceptions_use_an_index_too(databases: Databases) -> None:
    """Only what wants all of a small table reads it from end to end."""
    plans = {name: await steps(databases.main, STATEMENTS[name]) for name in ACROSS_ACCOUNTS}
    scanning = {name for name, plan in plans.items() if any(step.startswith("SCAN") for step in plan)}
    assert scanning == {
        "accounts.all_accounts",
        "accounts.any_account",
        "accounts.list_accounts",
        "accounts.samples",
        "api_keys.everybodys_api_keys",
        "blocks.allowed_hosts",
    }


async def test_statement_without_its_account_would_be_caught(databases: Databases) -> None:
    """Nobody can take an account's fence away unnoticed."""
    fence = re.compile(r"\b(?:\w+\.)?account_id = :?[\w.]+ and ")
    broken = [
        sql[: match.start()] + sql[match.end() :]
        for sql in STATEMENTS.values()
        if not sql.startswith("insert") or "select" in sql
        for match in fence.finditer(sql)
    ]
    assert len(broken) > 5
    for sql in broken:
        assert offences(await steps(databases.main, sql)), sql


class Explaining:
    """A database that keeps the plans of what it is asked, and the questions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: dict[str, list[str]] = {}

    async def fetch(self, sql: str, /, **params: object) -> list[Row]:
        rows = await self._database.fetch(f"explain query plan {sql}", **params)
        self.asked[sql] = [row["detail"] for row in rows]
        return await self._database.fetch(sql, **params)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    change = write = scrub = fetch


FILTERS: Mapping[str, Any] = {
    "types": ["opened", "clicked"],
    "campaign": "spring",
    "topic": "offers",
    "message": bytes(16),
    "verdict": "human",
    "recipient": bytes(16),
    "email": "ada@example.com",
    "external_id": "crm-1",
    "since": 1,
    "until": 2,
}


async def follow(explaining: Explaining) -> None:
    """Ask for the feed, where there are events."""
    assert await Events(explaining).feed(ACCOUNT, after=0, limit=100)  # type: ignore[arg-type]


async def test_questions_about_events_stay_within_an_account_and_use_an_index(databases: Databases) -> None:
    """Every filter, every two of them and all together; from the start and from a cursor; up and down."""
    assert set(FILTERS) == set(EventFilter.__struct_fields__)
    explaining = Explaining(databases.main)
    await add_accounts(databases, ACCOUNT)
    await store_events(databases, [an_event(), an_event()])
    chosen = [names for size in (0, 1, 2, len(FILTERS)) for names in combinations(FILTERS, size)]
    for names, descending, beyond in product(chosen, (True, False), (None, b"\1" * 16)):
        which = EventFilter(**{name: FILTERS[name] for name in names})
        for most in ({}, {"most_steps": 1, "most_gathered": 0}):
            events = Events(explaining, **most)  # type: ignore[arg-type]
            await events.page(ACCOUNT, which, limit=100, beyond=beyond, descending=descending)
    await follow(explaining)
    assert len(explaining.asked) > 4 * len(chosen)
    for sql, plan in explaining.asked.items():
        assert offences(plan) == [], sql


async def test_walk_for_a_page_comes_first_and_leads_to_one_row_at_a_time(databases: Databases) -> None:
    """Whatever else is asked: the rows are found by their whole key, in the order of the walk."""
    explaining = Explaining(databases.main)
    for names in (names for size in (0, 1, 2, len(FILTERS)) for names in combinations(FILTERS, size)):
        which = EventFilter(**{name: FILTERS[name] for name in names})
        await Events(explaining).page(ACCOUNT, which, limit=100, beyond=None, descending=True)  # type: ignore[arg-type]
    pages = {sql: plan for sql, plan in explaining.asked.items() if "cross join events e" in sql}
    assert pages
    for sql, plan in pages.items():
        walk, row, *_ = [step for step in plan if re.match(r"SEARCH [wem] ", step)]
        assert walk.startswith("SEARCH w USING COVERING INDEX"), sql
        assert re.match(r"SEARCH e USING INDEX .*\(account_id=\? .*AND id=\?\)", row), sql


async def test_gathering_goes_by_the_index_of_what_is_gathered(databases: Databases) -> None:
    """And not through the account, in the hope of meeting enough of it soon."""
    explaining = Explaining(databases.main)
    events = Events(explaining)  # type: ignore[arg-type]
    for which, index in (
        (EventFilter(types=["unsubscribed", "complained"]), "events_by_type (account_id=? AND type=?"),
        (EventFilter(recipient=bytes(16)), "events_by_message (account_id=? AND message_id=?"),
        (EventFilter(email="ada@example.com"), "events_by_message (account_id=? AND message_id=?"),
        (EventFilter(external_id="crm-1"), "events_by_message (account_id=? AND message_id=?"),
    ):
        explaining.asked.clear()
        for beyond in (None, b"\1" * 16):
            await events.page(ACCOUNT, which, limit=100, beyond=beyond, descending=True)
        for plan in explaining.asked.values():
            assert any(f"USING COVERING INDEX {index}" in step for step in plan), plan


async def test_pages_of_events_are_not_sorted_unless_they_must_be(databases: Databases) -> None:
    """A page of a hundred among millions is read where it stands: the index has its order."""
    explaining = Explaining(databases.main)
    events = Events(explaining)  # type: ignore[arg-type]
    for name, descending in product(("campaign", "topic", "message", "verdict", "since", "until"), (True, False)):
        which = msgspec.convert({name: FILTERS[name]}, EventFilter)
        await events.page(ACCOUNT, which, limit=100, beyond=b"\1" * 16, descending=descending)
    await events.page(ACCOUNT, EventFilter(types=["opened"]), limit=100, beyond=None, descending=True)
    await add_accounts(databases, ACCOUNT)
    await store_events(databases, [an_event()])
    await follow(explaining)
    for sql, plan in explaining.asked.items():
        assert not [step for step in plan if "TEMP B-TREE" in step], sql


async def test_tables_and_indexes_lead_with_the_account(databases: Databases) -> None:
    """The fence between accounts is structural; what finds the account is the exception."""
    exceptions = {("api_keys", "id"), ("accounts", "id"), ("journal", "id")}
    for table in await databases.main.fetch(
        "select name from main.sqlite_master where type = 'table'"
        " union select name from inbox.sqlite_master where type = 'table'"
    ):
        columns = await databases.main.fetch(f"select name, pk from pragma_table_info('{table['name']}')")
        if table["name"] in SMALL:
            assert "account_id" not in {column["name"] for column in columns}
            continue
        indexes = await databases.main.fetch(
            f"select i.name, c.name as leads from pragma_index_list('{table['name']}') i, pragma_index_info(i.name) c"
            " where c.seqno = 0"
        )
        leading = {index["leads"] for index in indexes} | {
            column["name"] for column in columns if column["pk"] == 1 and not indexes
        }
        allowed = {column for name, column in exceptions if name == table["name"]}
        assert leading <= {"account_id"} | allowed, table["name"]


def test_columns_have_types_that_every_database_knows() -> None:
    """Times are epoch milliseconds, flags small integers, JSON text."""
    for part in ("main", "inbox"):
        for script in (resources.files("tracker.storage") / "migrations" / part).iterdir():
            text = re.sub(r"--.*", "", script.read_text("utf-8"))
            for body in re.findall(r"create table (?:if not exists )?\w+ \((.*?)\n\)", text, re.DOTALL):
                for line in filter(None, (line.strip() for line in body.splitlines())):
                    assert re.match(r"(primary key|unique) \(|\w+ (bytea|text|bigint|smallint|integer)\b", line), line
