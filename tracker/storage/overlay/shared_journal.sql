-- name: insert_hits!
-- One statement is one trip. The writer's number goes up in it, or nothing is stored: see claim_batch.
with made
    (account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, blocked, link, url, method,
    writer, batch)
as (
    values (
        :account_id::bytea, :message_id::bytea, :type::text, :occurred_at::bigint, :user_agent::text, :network::text,
        :referrer::text, :prefetch::smallint, :blocked::smallint, :link::bigint, :url::text, :method::text,
        :writer::text, :batch::bigint
    )
), begun as (
    insert into heartbeat (name, at) select writer, batch from made limit 1
    on conflict (name) do update set at = excluded.at where heartbeat.at < excluded.at
    returning name
)
insert into journal
    (account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, blocked, link, url, method)
select
    m.account_id, m.message_id, m.type, m.occurred_at, m.user_agent, m.network, m.referrer, m.prefetch, m.blocked,
    m.link, m.url, m.method
from made m
join begun on begun.name = m.writer

-- name: begin_batch!
insert into heartbeat (name, at) values (:writer, :batch)
on conflict (name) do update set at = excluded.at where heartbeat.at < excluded.at

-- name: claim_batch
-- The number of the batch if it was stored, and the claim otherwise; then it never will be, for its number is passed.
-- Asked again it gives the same.
insert into heartbeat (name, at) values (:writer, :claim)
on conflict (name) do update
set at = case when heartbeat.at < :batch then excluded.at else heartbeat.at end
returning at

-- name: forget_writers!
-- Of processes that ended long ago.
delete from heartbeat where at < :before and name <> 'writer'

-- name: one_at_a_time
-- Who changes suppressions sees all that others did before: numbers have no holes, and nothing is undone twice.
select pg_advisory_xact_lock(7305500003)

-- name: one_projection
-- A slice and a deleted campaign do not pass each other: counts of the one would stay behind the other.
select pg_advisory_xact_lock(7305500004)
