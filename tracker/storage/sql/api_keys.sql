-- name: insert_api_key(id, account_id, name, scopes, secret_hash, created_at)!
insert into api_keys (id, account_id, name, scopes, secret_hash, created_at)
values (:id, :account_id, :name, :scopes, :secret_hash, :created_at)

-- name: api_keys_in_use(account_id, limit)
select id from api_keys where account_id = :account_id and revoked_at is null limit :limit

-- name: open_api_key(id)
-- The key itself is what proves the account, so nothing but its id is known yet.
select account_id, scopes, secret_hash from api_keys where id = :id and revoked_at is null

-- name: api_key(account_id, id)
select id, account_id, name, scopes, created_at, revoked_at from api_keys where account_id = :account_id and id = :id

-- name: api_keys(account_id, created_at, id, limit)
select id, account_id, name, scopes, created_at, revoked_at from api_keys
where account_id = :account_id and (created_at, id) > (:created_at, :id)
order by created_at, id
limit :limit

-- name: all_api_keys(account_id)
select id, account_id, name, scopes, created_at, revoked_at from api_keys
where account_id = :account_id
order by created_at, id

-- name: everybodys_api_keys()
select id, account_id, name, scopes, created_at, revoked_at from api_keys order by account_id, created_at, id

-- name: revoke_any_api_key!
update api_keys set revoked_at = :revoked_at where id = :id and revoked_at is null

-- name: revoke_api_key!
-- Not the last one that can make another.
update api_keys set revoked_at = :revoked_at
where account_id = :account_id and id = :id and revoked_at is null and (
    ' ' || scopes || ' ' not like '% account %' or exists (
        select 1 from api_keys o
        where o.account_id = :account_id and o.id <> :id and o.revoked_at is null
            and ' ' || o.scopes || ' ' like '% account %'
    )
)
