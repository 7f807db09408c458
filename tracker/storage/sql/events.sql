-- name: event_columns
select
    e.id, e.sequence, e.revision, e.type, e.occurred_at, e.campaign, e.topic, e.message_id, e.url, e.link, e.method,
    e.user_agent, e.client_name, e.client_os, e.client_device, e.ip, e.referrer, e.proxied,
    e.verdict, e.verdict_class, e.signals,
    m.recipient_id, m.external_id, m.email, m.metadata

-- name: numbered
from events e
left join messages m on m.account_id = e.account_id and m.id = e.message_id
where e.account_id = :account_id and e.sequence > :after_sequence and e.sequence <= :last_sequence
    and not exists (
        select 1 from campaign_deletions gone
        where gone.account_id = e.account_id and gone.campaign = e.campaign and gone.generation > e.generation
    )

-- name: along_walk
-- The walk goes along one index, whatever else is asked; "cross" keeps SQLite from choosing another way.
from events w
cross join events e on e.account_id = w.account_id and e.id = w.id
left join messages m on m.account_id = e.account_id and m.id = e.message_id
where w.account_id = :account_id
    and not exists (
        select 1 from campaign_deletions gone
        where gone.account_id = e.account_id and gone.campaign = e.campaign and gone.generation > e.generation
    )

-- name: among_gathered
-- The limit is never reached: it keeps SQLite from walking through the account in the order that is asked for.
from (
    select w.account_id, w.id from events w where w.account_id = :account_id

-- name: gathered
    limit :gathered
) w
cross join events e on e.account_id = w.account_id and e.id = w.id
left join messages m on m.account_id = e.account_id and m.id = e.message_id
where not exists (
    select 1 from campaign_deletions gone
    where gone.account_id = e.account_id and gone.campaign = e.campaign and gone.generation > e.generation
)

-- name: edge_of_walk
-- Where a walk of so many steps ends.
select w.id from events w where w.account_id = :account_id

-- name: by_message
and w.message_id = :message

-- name: by_recipient
and w.message_id in (select id from messages where account_id = :account_id and recipient_id = :recipient)

-- name: by_email
and w.message_id in (
    select s.id from recipients r join messages s on s.account_id = r.account_id and s.recipient_id = r.id
    where r.account_id = :account_id and r.address = :email
)

-- name: by_external_id
and w.message_id in (select id from messages where account_id = :account_id and external_id = :external_id)

-- name: by_campaign
-- The one of this name that there is now.
and w.campaign = :campaign
    and w.generation = (
        select coalesce(max(generation), 0) from campaign_deletions
        where account_id = :account_id and campaign = :campaign
    )

-- name: by_topic
and w.topic = :topic

-- name: by_types
and w.type in (:types)

-- name: since
and w.id >= :since

-- name: until
and w.id < :until

-- name: after
and w.id > :after

-- name: down_to
and w.id >= :edge

-- name: up_to
and w.id <= :edge

-- name: of_message
and e.message_id = :message

-- name: of_recipient
and exists (
    select 1 from messages p
    where p.account_id = :account_id and p.id = e.message_id and p.recipient_id = :recipient
)

-- name: of_email
and exists (
    select 1 from recipients r join messages p on p.account_id = r.account_id and p.recipient_id = r.id
    where r.account_id = :account_id and r.address = :email and p.id = e.message_id
)

-- name: of_external_id
and exists (
    select 1 from messages p
    where p.account_id = :account_id and p.id = e.message_id and p.external_id = :external_id
)

-- name: of_campaign
-- The one of this name that there is now.
and e.campaign = :campaign
    and e.generation = (
        select coalesce(max(generation), 0) from campaign_deletions
        where account_id = :account_id and campaign = :campaign
    )

-- name: of_topic
and e.topic = :topic

-- name: of_types
and e.type in (:types)

-- name: of_verdict
and e.verdict = :verdict

-- name: newest_first
order by w.id desc limit :limit

-- name: oldest_first
order by w.id limit :limit

-- name: at_the_end
offset :passed

-- name: count_recipient(account_id, recipient, most)
-- A message without events counts as one: reading it takes its time as well.
select count(*) as found from (
    select 1 from messages s left join events w on w.account_id = s.account_id and w.message_id = s.id
    where s.account_id = :account_id and s.recipient_id = :recipient limit :most
) counted

-- name: count_email(account_id, email, most)
select count(*) as found from (
    select 1 from recipients r
    join messages s on s.account_id = r.account_id and s.recipient_id = r.id
    left join events w on w.account_id = s.account_id and w.message_id = s.id
    where r.account_id = :account_id and r.address = :email limit :most
) counted

-- name: count_external_id(account_id, external_id, most)
select count(*) as found from (
    select 1 from messages s left join events w on w.account_id = s.account_id and w.message_id = s.id
    where s.account_id = :account_id and s.external_id = :external_id limit :most
) counted

-- name: count_types(account_id, types, most)
select count(*) as found from (
    select 1 from events w where w.account_id = :account_id and w.type in (:types) limit :most
) counted

-- name: entries(account_id, sequence, limit)
-- What each number was given for, whether it can still be shown or not.
select sequence, id from events where account_id = :account_id and sequence > :sequence
union all
select sequence, id from erased_events where account_id = :account_id and sequence > :sequence
order by sequence limit :limit

-- name: hiding(account_id)
-- How many campaigns are being erased.
select count(*) as found from campaign_deletions where account_id = :account_id and erasing = 1
