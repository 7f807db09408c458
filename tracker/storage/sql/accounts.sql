-- name: insert_account(id, name, pepper, limited, created_at)!
insert into accounts (id, name, pepper, limited, sequence, created_at)
values (:id, :name, :pepper, :limited, 0, :created_at)

-- name: touch_directory!
update directory set version = version + 1 where name = 'accounts'

-- name: directory_version()
select version from directory where name = 'accounts'

-- name: all_accounts()
select id, name, pepper, limited from accounts

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

-- name: any_account()
select 1 as found from accounts limit 1

-- name: insert_api_key(id, account_id, name, scopes, secret_hash, created_at)!
insert into api_keys (id, account_id, name, scopes, secret_hash, created_at)
values (:id, :account_id, :name, :scopes, :secret_hash, :created_at)

-- name: api_key(id)
-- The key itself is what proves the account, so nothing but its id is known yet.
select account_id, scopes, secret_hash from api_keys where id = :id and revoked_at is null

-- name: list_api_keys(account_id)
select id, account_id, name, scopes, created_at, revoked_at from api_keys
where account_id = :account_id
order by created_at, id

-- name: list_all_api_keys()
select id, account_id, name, scopes, created_at, revoked_at from api_keys order by account_id, created_at, id

-- name: revoke_api_key(id, revoked_at)
update api_keys set revoked_at = :revoked_at where id = :id and revoked_at is null returning id

-- name: fingerprints()
select number, fingerprint from signing_keys order by number

-- name: insert_fingerprint(number, fingerprint, first_seen_at)!
insert into signing_keys (number, fingerprint, first_seen_at) values (:number, :fingerprint, :first_seen_at)
on conflict do nothing
