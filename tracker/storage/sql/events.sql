-- name: select_events
select
    e.id, e.sequence, e.revision, e.type, e.occurred_at, e.campaign, e.topic, e.message_id, e.url, e.link, e.method,
    e.user_agent, e.client_name, e.client_os, e.client_device, e.ip, e.referrer, e.proxied,
    e.verdict, e.verdict_class, e.signals,
    m.recipient_id, m.external_id, m.email, m.metadata
from events e
left join messages m on m.account_id = e.account_id and m.id = e.message_id
where e.account_id = :account_id
    and not exists (
        select 1 from campaign_deletions gone
        where gone.account_id = e.account_id and gone.campaign = e.campaign and gone.generation > e.generation
    )

-- name: of_types
and e.type in (:types)

-- name: of_campaign
-- The one of this name that there is now.
and e.campaign = :campaign
    and e.generation = (
        select coalesce(max(generation), 0) from campaign_deletions
        where account_id = :account_id and campaign = :campaign
    )

-- name: of_topic
and e.topic = :topic

-- name: of_message
and e.message_id = :message

-- name: of_verdict
and e.verdict = :verdict

-- name: of_recipient
and e.message_id in (select id from messages where account_id = :account_id and recipient_id = :recipient)

-- name: of_email
and e.message_id in (
    select s.id from recipients r join messages s on s.account_id = r.account_id and s.recipient_id = r.id
    where r.account_id = :account_id and r.address = :email
)

-- name: of_external_id
and e.message_id in (select id from messages where account_id = :account_id and external_id = :external_id)

-- name: since
and e.id >= :since

-- name: until
and e.id < :until

-- name: before
and e.id < :before

-- name: after
and e.id > :after

-- name: newest_first
order by e.id desc limit :limit

-- name: oldest_first
order by e.id limit :limit

-- name: numbered
and e.sequence > :after_sequence and e.sequence <= :last_sequence

-- name: entries(account_id, sequence, limit)
-- What each number was given for, whether it can still be shown or not.
select sequence, id from events where account_id = :account_id and sequence > :sequence
union all
select sequence, id from erased_events where account_id = :account_id and sequence > :sequence
order by sequence limit :limit
