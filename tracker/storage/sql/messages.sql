-- name: take_allowance!
-- Touches no row when the day would become fuller than that.
insert into daily_messages (account_id, day, messages)
select :account_id, :day, cast(:messages as bigint) where cast(:messages as bigint) <= :most
on conflict (account_id, day) do update set messages = daily_messages.messages + excluded.messages
where daily_messages.messages + excluded.messages <= :most

-- name: forget_allowances!
delete from daily_messages where account_id = :account_id and day < :day

-- name: allowance_taken(account_id, day)
select messages from daily_messages where account_id = :account_id and day = :day

-- name: upsert_campaign!
insert into campaigns (account_id, name, first_message_at, messages)
values (:account_id, :campaign, :created_at, :messages)
on conflict (account_id, name) do update set messages = campaigns.messages + excluded.messages

-- name: upsert_topic!
insert into topics (account_id, name, id, created_at, messages)
values (:account_id, :topic, :new_topic_id, :created_at, :messages)
on conflict (account_id, name) do update set messages = topics.messages + excluded.messages

-- name: upsert_recipient!
-- The latest external id given is kept.
insert into recipients (account_id, id, address, address_key, external_id, created_at)
values (:account_id, :new_recipient_id, :address, :address_key, :external_id, :created_at)
on conflict (account_id, address) do update
set external_id = coalesce(excluded.external_id, recipients.external_id)

-- name: insert_message!
-- The recipient's id is looked up here, since another call may have made the recipient a moment ago; and so is whether
-- a campaign of that name was deleted.
insert into messages
    (account_id, id, recipient_id, campaign, topic, email, external_id, metadata, opens, clicks, created_at, generation)
with made (account_id, id, address, campaign, topic, email, external_id, metadata, opens, clicks, created_at) as (
    values (:account_id, :id, :address, :campaign, :topic, :email, :external_id, :metadata, :opens, :clicks, :created_at)
)
select
    d.account_id, d.id, r.id, d.campaign, d.topic, d.email, d.external_id, d.metadata, d.opens, d.clicks, d.created_at,
    coalesce(gone.generation, 0)
from made d
join recipients r on r.account_id = d.account_id and r.address = d.address
left join campaign_deletions gone on gone.account_id = d.account_id and gone.campaign = d.campaign

-- name: recipients_of(account_id, ids)
select id, recipient_id from messages where account_id = :account_id and id in (:ids)

-- name: mark_sent!
update messages set sent_at = :sent_at where account_id = :account_id and id = :id

-- name: message(account_id, id)
select id, recipient_id, campaign, topic, email, external_id, metadata, opens, clicks, created_at, sent_at
from messages
where account_id = :account_id and id = :id

-- name: messages(account_id, ids)
select
    m.id, m.campaign, m.topic, m.generation,
    exists (
        select 1 from campaign_deletions gone
        where gone.account_id = m.account_id and gone.campaign = m.campaign and gone.generation > m.generation
    ) as deleted
from messages m
where m.account_id = :account_id and m.id in (:ids)

-- name: address_key_of(account_id, id)
select address_key from recipients where account_id = :account_id and id = :id
