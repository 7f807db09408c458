-- name: insert_account(id, name, pepper, limited, created_at)!
insert into accounts (id, name, pepper, limited, sequence, created_at)
values (:id, :name, :pepper, :limited, 0, :created_at)

-- name: touch_directory!
update directory set version = version + 1 where name = 'accounts'

-- name: directory_version()
select version from directory where name = 'accounts'

-- name: all_accounts()
select id, name, pepper, limited from accounts

-- name: samples()
select a.id as account, a.pepper, r.address, r.address_key
from accounts a join recipients r on r.account_id = a.id
where r.id = (select id from recipients where account_id = a.id order by id limit 1)

-- name: account(id)
select id, name, pepper, limited from accounts where id = :id

-- name: list_accounts()
select id, name, created_at, limited, allowed_hosts from accounts order by created_at, id

-- name: account_options(id)
select id, name, created_at, limited, allowed_hosts from accounts where id = :id

-- name: set_allowed_hosts!
update accounts set allowed_hosts = :allowed_hosts where id = :id

-- name: set_limited!
update accounts set limited = :limited where id = :id

-- name: rename_account!
update accounts set name = :name where id = :id

-- name: any_account()
select 1 as found from accounts limit 1

-- name: fingerprints()
select number, fingerprint from signing_keys order by number

-- name: insert_fingerprint(number, fingerprint, first_seen_at)!
insert into signing_keys (number, fingerprint, first_seen_at) values (:number, :fingerprint, :first_seen_at)
on conflict do nothing
