-- name: mark()
select mark from projection where name = 'journal'

-- name: projected()
select mark, events, dropped, refused from projection where name = 'journal'

-- name: advance_mark!
update projection
set mark = :new, events = events + :events, dropped = dropped + :dropped, refused = refused + :refused
where name = 'journal' and mark = :old

-- name: take!
-- Where the journal stands in the same database: its rows go in the transaction that makes events of them.
delete from journal where id in (:keys)

-- name: sequences(account_ids)
select id, sequence from accounts where id in (:account_ids)

-- name: advance_sequence!
update accounts set sequence = :new where id = :account_id and sequence = :old

-- name: insert_event!
insert into events
    (account_id, id, sequence, revision, type, occurred_at, campaign, topic, message_id, url, link, method, user_agent, client_name, client_os, client_device, ip, referrer, proxied, verdict, verdict_class, signals, ruleset, generation)
values
    (:account_id, :id, :sequence, :revision, :type, :occurred_at, :campaign, :topic, :message_id, :url, :link, :method, :user_agent, :client_name, :client_os, :client_device, :ip, :referrer, :proxied, :verdict, :verdict_class, :signals, :ruleset, :generation)

-- name: message_counts(account_id, message_ids)
select message_id, type, verdict from message_counts
where account_id = :account_id and message_id in (:message_ids)

-- name: add_message_count!
insert into message_counts (account_id, message_id, type, verdict, total)
values (:account_id, :message_id, :type, :verdict, :total)
on conflict (account_id, message_id, type, verdict) do update
set total = message_counts.total + excluded.total

-- name: add_campaign_count!
-- Nothing for a campaign that was deleted while the slice was worked out: its events are hidden already, and erased next.
insert into campaign_counts (account_id, campaign, type, verdict, total, uniques)
with counted (account_id, campaign, generation, type, verdict, total, uniques) as (
    values (:account_id, :campaign, :generation, :type, :verdict, :total, :uniques)
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
-- Not of a campaign that was deleted: nobody will ever want to read it.
insert into refused (account_id, journal_key, message_id, type, occurred_at, hit, error)
select :account_id, :journal_key, :message_id, :type, :occurred_at, :hit, :error
where not exists (
    select 1 from messages m
    join campaign_deletions gone on gone.account_id = m.account_id and gone.campaign = m.campaign
    where m.account_id = :account_id and m.id = :message_id and gone.generation > m.generation
)
on conflict do nothing
