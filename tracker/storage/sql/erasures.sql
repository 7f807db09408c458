-- name: next_deletion(account, campaign)
-- From one campaign that is being erased to the next, whoever's it is.
select account_id, campaign, generation
from campaign_deletions
where erasing = 1 and (account_id, campaign) > (:account, :campaign)
order by account_id, campaign limit 1

-- name: events_left(account_id, campaign, generation, limit)
select id, sequence, message_id
from events
where account_id = :account_id and campaign = :campaign and generation < :generation
order by generation, id limit :limit

-- name: insert_entry!
insert into erased_events (account_id, sequence, id) values (:account_id, :sequence, :id)

-- name: delete_event!
delete from events where account_id = :account_id and id = :id

-- name: delete_message_counts!
delete from message_counts where account_id = :account_id and message_id = :message_id

-- name: delete_refused!
delete from refused
where account_id = :account_id and exists (
    select 1 from messages m
    where m.account_id = refused.account_id and m.id = refused.message_id
        and m.campaign = :campaign and m.generation < :generation
)

-- name: end_deletion!
-- Unless the campaign was deleted again meanwhile.
update campaign_deletions set erasing = 0
where account_id = :account_id and campaign = :campaign and generation <= :generation
