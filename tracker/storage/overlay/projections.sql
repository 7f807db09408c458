-- name: advance_mark!
-- What is projected is gone from the journal. A mark would pass rows by: keys of several writers do not come in order.
update projection
set events = events + :events, dropped = dropped + :dropped, refused = refused + :refused
where name = 'journal'

-- name: add_campaign_count!
insert into campaign_counts (account_id, campaign, type, verdict, total, uniques)
with counted (account_id, campaign, generation, type, verdict, total, uniques) as (
    values (
        :account_id::bytea, :campaign::text, :generation::bigint, :type::text, :verdict::text,
        :total::bigint, :uniques::bigint
    )
)
select d.account_id, d.campaign, d.type, d.verdict, d.total, d.uniques
from counted d
where not exists (
    select 1 from campaign_deletions gone
    where gone.account_id = d.account_id and gone.campaign = d.campaign and gone.generation > d.generation
)
on conflict (account_id, campaign, type, verdict) do update
set total = campaign_counts.total + excluded.total, uniques = campaign_counts.uniques + excluded.uniques

-- name: refuse!
insert into refused (account_id, journal_key, message_id, type, occurred_at, hit, error)
select
    :account_id::bytea, :journal_key::bigint, :message_id::bytea, :type::text, :occurred_at::bigint, :hit::text,
    :error::text
where not exists (
    select 1 from messages m
    join campaign_deletions gone on gone.account_id = m.account_id and gone.campaign = m.campaign
    where m.account_id = :account_id and m.id = :message_id and gone.generation > m.generation
)
on conflict do nothing
