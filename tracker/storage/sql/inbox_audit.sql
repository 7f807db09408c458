-- name: insert_entry!
insert into inbox_audit (account_id, id, key_id, action, subject) values (:account_id, :id, :key_id, :action, :subject)

-- name: insert_lift_entry!
-- Only while the opt-out that is lifted stands.
insert into inbox_audit (account_id, id, key_id, action, subject)
select account_id, :audit_id, :key_id, :action, :subject
from suppressions
where account_id = :account_id and id = :suppression_id and coalesce(repeated_at, created_at) < :said_before

-- name: select_entries
select id, key_id, action, subject from inbox_audit where account_id = :account_id

-- name: of_action
and action = :action

-- name: of_key
and key_id = :key_id

-- name: of_keys
and key_id is not null

-- name: of_operator
and key_id is null

-- name: since
and id >= :since

-- name: until
and id < :until

-- name: before
and id < :before

-- name: newest_first
order by id desc limit :limit

-- name: next_account(after)
-- From one account that has entries to the next.
select account_id from inbox_audit where account_id > :after order by account_id limit 1

-- name: expired(account_id, expired, limit)
select account_id, id from inbox_audit where account_id = :account_id and id < :expired order by id limit :limit

-- name: delete_entry!
delete from inbox_audit where account_id = :account_id and id = :id
