-- name: record_imported!
with made (account_id, suppression_id, changed_at) as (
    values (:account_id::bytea, :suppression_id::bytea, :changed_at::bigint)
)
insert into suppression_changes
    (account_id, sequence, change, changed_at, suppression_id, scope, topic, reason, origin, message_id, created_at)
select
    p.account_id, coalesce(c.sequence, 0) + row_number() over (partition by p.account_id order by p.id), 'added',
    d.changed_at, p.id, p.scope, p.topic, p.reason, p.origin, p.message_id, p.created_at
from made d
join suppressions p on p.account_id = d.account_id and p.id = d.suppression_id
left join suppression_counters c on c.account_id = p.account_id

-- name: count_imported!
with made (account_id, suppression_id, changed_at) as (
    values (:account_id::bytea, :suppression_id::bytea, :changed_at::bigint)
)
insert into suppression_counters (account_id, sequence)
select p.account_id, count(*)
from made d
join suppressions p on p.account_id = d.account_id and p.id = d.suppression_id
group by p.account_id
on conflict (account_id) do update set sequence = suppression_counters.sequence + excluded.sequence
