-- name: insert_receipt!
-- The first one stands until it has expired.
insert into receipts (account_id, route, key, fingerprint, made, created_at)
values (:account_id, :route, :key, :fingerprint, :made, :created_at)
on conflict (account_id, route, key) do update
set fingerprint = excluded.fingerprint, made = excluded.made, created_at = excluded.created_at
where receipts.created_at <= :expired

-- name: replace_receipt!
-- By the next of a call of many transactions: what it kept with the last one must still stand.
update receipts set fingerprint = :fingerprint, made = :made, created_at = :created_at
where account_id = :account_id and route = :route and key = :key and made = :before

-- name: receipt(account_id, route, key, expired)
select account_id, route, key, fingerprint, made, created_at
from receipts
where account_id = :account_id and route = :route and key = :key and created_at > :expired

-- name: next_account(after)
-- From one account that has receipts to the next.
select account_id from receipts where account_id > :after order by account_id limit 1

-- name: expired(account_id, expired, limit)
select account_id, route, key from receipts
where account_id = :account_id and created_at <= :expired
order by created_at
limit :limit

-- name: delete_receipt!
delete from receipts where account_id = :account_id and route = :route and key = :key
