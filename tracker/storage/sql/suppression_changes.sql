-- name: count_change!
-- Before it is written down; both only for a row that stands, and was last asked for early enough.
insert into suppression_counters (account_id, sequence)
select account_id, 1 from suppressions
where account_id = :account_id and id = :suppression_id and coalesce(repeated_at, created_at) < :said_before
on conflict (account_id) do update set sequence = suppression_counters.sequence + 1

-- name: record_change!
insert into suppression_changes
    (account_id, sequence, change, changed_at, suppression_id, scope, topic, reason, origin, message_id, created_at)
select
    p.account_id, c.sequence, :change, :changed_at, p.id, p.scope, p.topic, p.reason, p.origin, p.message_id, p.created_at
from suppressions p
join suppression_counters c on c.account_id = p.account_id
where p.account_id = :account_id and p.id = :suppression_id and coalesce(p.repeated_at, p.created_at) < :said_before

-- name: changes_after(account_id, after, limit)
select
    c.sequence, c.change, c.changed_at, c.suppression_id as id, c.scope, c.topic, c.reason, c.origin, c.message_id,
    c.created_at, p.note, coalesce(p.email, m.email) as email
from suppression_changes c
left join suppressions p on p.account_id = c.account_id and p.id = c.suppression_id
left join messages m on m.account_id = c.account_id and m.id = c.message_id
where c.account_id = :account_id and c.sequence > :after
order by c.sequence
limit :limit
