"""What the files of an installation hold, read past the server."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import asyncpg

_HEX = "create or replace function hex(bytea) returns text language sql as $$ select encode($1, 'hex') $$"
_EVENTS = """
    select hex(account_id), type, user_agent from events
"""
_MESSAGES = """
    select hex(account_id), 'message', external_id from messages
"""

# Each gives the rows that must not be.
_NONE_OF_THESE = {
    "numbers with holes": """
        with numbered as (
            select account_id, id, sequence from events union all select account_id, id, sequence from erased_events
        )
        select hex(a.id), a.sequence, count(e.id), min(e.sequence), max(e.sequence)
        from accounts a left join numbered e on e.account_id = a.id
        group by a.id
        having a.sequence <> count(e.id)
            or (count(e.id) > 0 and (min(e.sequence) <> 1 or max(e.sequence) <> count(e.id)))
    """,
    "events of unknown messages": """
        select hex(account_id), type, user_agent from events where message_id is null
    """,
    "numbers of campaigns that a recount does not give": """
        with recount as (
            select e.account_id, e.campaign, type, verdict, count(*) as total, count(distinct message_id) as uniques
            from events e left join campaign_deletions d on d.account_id = e.account_id and d.campaign = e.campaign
            where e.campaign <> '' and e.generation = coalesce(d.generation, 0)
            group by e.account_id, e.campaign, type, verdict
        ), counted as (
            select account_id, campaign, type, verdict, total, uniques from campaign_counts
        )
        select 'recounted', a.* from (select * from recount except select * from counted) a
        union all
        select 'counted', b.* from (select * from counted except select * from recount) b
    """,
    "numbers of messages that a recount does not give": """
        with recount as (
            select account_id, message_id, type, verdict, count(*) as total
            from events e left join campaign_deletions d using (account_id, campaign)
            where campaign <> '' and e.generation = coalesce(d.generation, 0)
            group by account_id, message_id, type, verdict
        ), counted as (
            select account_id, message_id, type, verdict, total from message_counts
            where not exists (
                select 1 from messages m join campaign_deletions d using (account_id, campaign)
                where m.account_id = message_counts.account_id and m.id = message_counts.message_id
                    and d.generation > m.generation and d.erasing = 1
            )
        )
        select 'recounted', a.* from (select * from recount except select * from counted) a
        union all
        select 'counted', b.* from (select * from counted except select * from recount) b
    """,
    "messages of campaigns that a recount does not give": """
        select hex(c.account_id), c.name, c.messages, count(m.id)
        from campaigns c left join messages m on m.account_id = c.account_id and m.campaign = c.name
            and m.generation = coalesce((
                select generation from campaign_deletions d where d.account_id = c.account_id and d.campaign = c.name
            ), 0)
        group by c.account_id, c.name having c.messages <> count(m.id)
    """,
    "messages of topics that a recount does not give": """
        select hex(t.account_id), t.name, t.messages, count(m.id)
        from topics t left join messages m on m.account_id = t.account_id and m.topic = t.name
        group by t.account_id, t.name having t.messages <> count(m.id)
    """,
    "a number of all events that a recount does not give": """
        select p.events, count(*) from projection p, (
            select id from events union all select id from (select distinct account_id, id from erased_events) gone
        ) recounted
        group by p.events having p.events <> count(*)
        union all
        select p.events, 0 from projection p
        where p.events > 0 and not exists (select 1 from events) and not exists (select 1 from erased_events)
    """,
    "rows of the journal that are not projected": """
        select hex(account_id), id, type from journal where id > (select mark from projection)
    """,
    "opt-outs without their event": """
        select hex(account_id), hex(message_id) from suppressions s where message_id is not null and not exists (
            select 1 from messages m join campaign_deletions d using (account_id, campaign)
            where m.account_id = s.account_id and m.id = s.message_id and d.generation > m.generation
        )
        except
        select hex(account_id), hex(message_id) from events where type = 'unsubscribed'
    """,
    "events of opt-outs without their suppression": """
        select hex(account_id), hex(message_id) from events
        where type in ('unsubscribed', 'resubscribed') group by account_id, message_id
        having max(case type when 'unsubscribed' then sequence else 0 end)
            > max(case type when 'resubscribed' then sequence else 0 end)
        except
        select hex(account_id), hex(message_id) from suppressions
    """,
    "a log of suppressions with holes": """
        select hex(account_id), counted, count(sequence), min(sequence), max(sequence)
        from (
            select c.account_id, c.sequence as counted, l.sequence
            from suppression_counters c left join suppression_changes l on l.account_id = c.account_id
        ) logged
        group by account_id, counted
        having counted <> count(sequence) or min(sequence) <> 1 or max(sequence) <> counted
    """,
    "suppressions that their log does not give": """
        with logged as (
            select account_id, suppression_id from suppression_changes
            group by account_id, suppression_id having sum(case change when 'added' then 1 else -1 end) <> 0
        ), kept as (
            select account_id, id from suppressions
        )
        select 'logged', a.* from (select * from logged except select * from kept) a
        union all
        select 'kept', b.* from (select * from kept except select * from logged) b
    """,
    "journal rows set aside": """
        select hex(account_id), journal_key, type, error from refused
    """,
    "journal rows dropped, of accounts that do not exist": """
        select dropped from projection where dropped > 0 and not exists (select 1 from campaign_deletions)
    """,
    "events of campaigns that are deleted and erased": """
        select hex(account_id), campaign, type from events e join campaign_deletions d using (account_id, campaign)
        where d.generation > e.generation and d.erasing = 0
    """,
}


Kind = Literal["message", "opened", "clicked", "unsubscribed"]


class Deed(NamedTuple):
    """One thing somebody did. Its name is found again in what is stored: no two of an account share one."""

    account: str
    kind: Kind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The deeds, one for each row; and in words what does not agree with what."""

    deeds: list[Deed]
    inconsistencies: list[str]


def read_stored(main: Path, inbox: Path) -> Stored:
    """Read both files, of a server that has caught up with its journal."""
    with closing(sqlite3.connect(main)) as database:
        database.execute("attach database ? as inbox", (str(inbox),))
        rows = [*database.execute(_EVENTS), *database.execute(_MESSAGES)]
        deeds = [Deed(account.lower(), kind, name_in(text)) for account, kind, text in rows]
        return Stored(deeds=deeds, inconsistencies=list(_inconsistencies(database)))


async def read_shared(url: str) -> Stored:
    """The same of a database of a server."""
    database: Any = await asyncpg.connect(url)
    try:
        await database.execute(_HEX)
        rows = [*await database.fetch(_EVENTS), *await database.fetch(_MESSAGES)]
        deeds = [Deed(account.lower(), kind, name_in(text)) for account, kind, text in rows]
        found = {what: await database.fetch(statement) for what, statement in _NONE_OF_THESE.items()}
        wrong = [f"{what}: {len(rows)}, such as {tuple(rows[0])}" for what, rows in found.items() if rows]
        left = await database.fetchval("select count(*) from journal")
        return Stored(deeds=deeds, inconsistencies=[*wrong, *([f"left in the journal: {left}"] if left else [])])
    finally:
        await database.close()


def rows_of(file: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What a statement gives when asked of one file alone."""
    with closing(sqlite3.connect(file)) as database:
        return database.execute(statement, values).fetchall()


def name_in(text: str | None) -> str:
    """The name of a deed is the last word of its user agent, and all of an external id."""
    return (text or "").rpartition(" ")[2]


def _inconsistencies(database: sqlite3.Connection) -> Iterator[str]:
    for what, statement in _NONE_OF_THESE.items():
        rows = database.execute(statement).fetchall()
        if rows:
            yield f"{what}: {len(rows)}, such as {rows[0]}"
    for schema in ("main", "inbox"):
        verdict = database.execute(f"pragma {schema}.integrity_check").fetchall()
        if verdict != [("ok",)]:
            yield f"integrity of {schema}: {verdict}"
