-- name: insert_hit!
insert into journal
    (id, account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, blocked, link, url, method)
values
    (:id, :account_id, :message_id, :type, :occurred_at, :user_agent, :network, :referrer, :prefetch, :blocked, :link,
    :url, :method)

-- name: count_given_way!
-- An opt-out that was imported gives way to what the person says here, which has a message and a time of its own.
insert into suppression_counters (account_id, sequence)
select account_id, 1 from suppressions
where account_id = :account_id and address_key = :address_key
    and scope = 'account' and topic = '' and reason = 'unsubscribed' and origin = 'recipient' and message_id is null
on conflict (account_id) do update set sequence = suppression_counters.sequence + 1

-- name: record_given_way!
insert into suppression_changes
    (account_id, sequence, change, changed_at, suppression_id, scope, topic, reason, origin, message_id, created_at)
select
    p.account_id, c.sequence, 'removed', :occurred_at, p.id, p.scope, p.topic, p.reason, p.origin, p.message_id,
    p.created_at
from suppressions p
join suppression_counters c on c.account_id = p.account_id
where p.account_id = :account_id and p.address_key = :address_key
    and p.scope = 'account' and p.topic = '' and p.reason = 'unsubscribed' and p.origin = 'recipient'
    and p.message_id is null

-- name: delete_given_way!
delete from suppressions
where account_id = :account_id and address_key = :address_key
    and scope = 'account' and topic = '' and reason = 'unsubscribed' and origin = 'recipient' and message_id is null

-- name: insert_opt_out!
-- The first opt-out stands.
insert into suppressions
    (account_id, address_key, scope, topic, reason, origin, id, message_id, created_at)
values
    (:account_id, :address_key, 'account', '', 'unsubscribed', 'recipient', :suppression_id, :message_id, :occurred_at)
on conflict do nothing

-- name: repeat_opt_out!
-- A later one leaves no more than its time.
update suppressions set repeated_at = :occurred_at
where account_id = :account_id and address_key = :address_key
    and scope = 'account' and topic = '' and reason = 'unsubscribed' and origin = 'recipient'
    and created_at < :occurred_at

-- name: insert_opt_out_hit!
-- Only beside a suppression that this very opt-out made.
insert into journal
    (id, account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, method)
select
    :id, account_id, :message_id, :type, :occurred_at, :user_agent, :network, :referrer, :prefetch, :method
from suppressions
where account_id = :account_id and address_key = :address_key
    and scope = 'account' and topic = '' and reason = 'unsubscribed' and origin = 'recipient'
    and id = :suppression_id

-- name: insert_undo_hit!
-- Only while the opt-out that is undone stands, and was not said again since.
insert into journal
    (id, account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, method)
select
    :id, account_id, :message_id, :type, :occurred_at, :user_agent, :network, :referrer, :prefetch, :method
from suppressions
where account_id = :account_id and id = :suppression_id and reason = 'unsubscribed' and origin = 'recipient'
    and coalesce(repeated_at, created_at) < :said_before

-- name: insert_lift!
insert into suppression_lifts
    (account_id, suppression_id, address_key, message_id, opted_out_at, consented_at, method, evidence, lifted_at)
select
    account_id, id, address_key, message_id, created_at, :consented_at, :consent_method, :evidence, :occurred_at
from suppressions
where account_id = :account_id and id = :suppression_id and reason = 'unsubscribed' and origin = 'recipient'
    and coalesce(repeated_at, created_at) < :said_before

-- name: delete_undone!
delete from suppressions
where account_id = :account_id and id = :suppression_id and reason = 'unsubscribed' and origin = 'recipient'
    and coalesce(repeated_at, created_at) < :said_before

-- name: read_after(after, limit)
-- The journal belongs to the whole installation: the projector sorts it out by account.
select
    id, account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, blocked, link, url, method
from journal
where id > :after
order by id
limit :limit

-- name: oldest_after(after)
select occurred_at from journal where id > :after order by id limit 1

-- name: between(after, upto)
select 1 as found from journal where id > :after and id <= :upto limit 1

-- name: last_key()
select coalesce(max(id), 0) as id from journal

-- name: first_key()
select coalesce(min(id), 0) as id from journal

-- name: trim(upto)!
delete from journal where id <= :upto

-- name: beat(at)!
update heartbeat set at = :at where name = 'writer'
