-- name: insert_block!
insert into blocks (kind, value, id, reason, created_at) values (:kind, :value, :id, :reason, :created_at)
on conflict do nothing

-- name: delete_block!
delete from blocks where kind = :kind and value = :value

-- name: touch_blocks!
update directory set version = version + 1 where name = 'blocks'

-- name: version()
select version from directory where name = 'blocks'

-- name: block(kind, value)
select kind, value, id, reason, created_at from blocks where kind = :kind and value = :value

-- name: block_by_id(id)
select kind, value, id, reason, created_at from blocks where id = :id

-- name: all_blocks()
select kind, value, id, reason, created_at from blocks order by created_at, id

-- name: allowed_hosts()
-- Every process asks it at every click, whoever sent the mail.
select id, allowed_hosts from accounts where allowed_hosts is not null
