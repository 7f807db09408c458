-- name: upsert_campaign!
insert into campaigns (account_id, name, first_message_at, messages)
values (:account_id, :campaign, :created_at, 1)
on conflict (account_id, name) do update set messages = campaigns.messages + 1

-- name: upsert_recipient!
-- The latest external id given is kept.
insert into recipients (account_id, id, address, address_key, external_id, created_at)
values (:account_id, :new_recipient_id, :address, :address_key, :external_id, :created_at)
on conflict (account_id, address) do update
set external_id = coalesce(excluded.external_id, recipients.external_id)

-- name: insert_message!
insert into messages
    (account_id, id, recipient_id, campaign, topic, email, external_id, metadata, opens, clicks, created_at)
select
    account_id, :id, id, :campaign, :topic, :email, :external_id, :metadata, :opens, :clicks, :created_at
from recipients
where account_id = :account_id and address = :address

-- name: message(account_id, id)
select id, recipient_id, campaign, topic, email, external_id, metadata, opens, clicks, created_at, sent_at
from messages
where account_id = :account_id and id = :id

-- name: messages(account_id, ids)
select id, campaign, topic
from messages
where account_id = :account_id and id in (:ids)

-- name: address_key_of(account_id, id)
select address_key from recipients where account_id = :account_id and id = :id
