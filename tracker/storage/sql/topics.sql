-- name: topics(account_id, beyond, limit)
select id, name, created_at, messages
from topics
where account_id = :account_id and id > :beyond
order by id limit :limit

-- name: topic(account_id, name)
select id, name, created_at, messages
from topics
where account_id = :account_id and name = :name

-- name: insert_topic!
insert into topics (account_id, name, id, created_at, messages)
values (:account_id, :name, :id, :created_at, 0)
on conflict (account_id, name) do nothing

-- name: delete_topic!
delete from topics where account_id = :account_id and name = :name
