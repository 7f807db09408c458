-- name: select_suppressions
select
    p.id, p.reason, p.scope, p.topic, p.origin, p.note, p.message_id, p.created_at, coalesce(p.email, m.email) as email
from suppressions p
left join messages m on m.account_id = p.account_id and m.id = p.message_id
where p.account_id = :account_id

-- name: of_id
and p.id = :id

-- name: of_address_key
-- They are few. In the order of ids SQLite would look for them through the whole account.
and p.address_key = :address_key order by p.created_at desc, p.id desc

-- name: of_reason
and p.reason = :reason

-- name: of_scope
and p.scope = :scope

-- name: of_topic
and p.topic = :topic

-- name: of_origin
and p.origin = :origin

-- name: since
-- An id is made after the time its row tells: the index can begin there, and the time decides.
and p.id >= :since_id and p.created_at >= :since

-- name: before
and p.id < :before

-- name: newest_first
order by p.id desc limit :limit

-- name: last_said(account_id, id)
select coalesce(repeated_at, created_at) as said_at from suppressions where account_id = :account_id and id = :id

-- name: insert_suppression!
-- The first row stands; the same one again changes nothing.
insert into suppressions
    (account_id, address_key, scope, topic, reason, origin, id, email, note, created_at)
values
    (:account_id, :address_key, :scope, :topic, :reason, :origin, :id, :email, :note, :created_at)
on conflict do nothing

-- name: standing(account_id, address_key, scope, topic, reason, origin)
select id from suppressions
where account_id = :account_id and address_key = :address_key
    and scope = :scope and topic = :topic and reason = :reason and origin = :origin

-- name: delete_suppression!
delete from suppressions where account_id = :account_id and id = :suppression_id
