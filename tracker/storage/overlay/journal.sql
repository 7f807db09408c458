-- name: insert_hit!
with made
    (id, account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, blocked, link, url, method)
as (
    values (
        :id::bigint, :account_id::bytea, :message_id::bytea, :type::text, :occurred_at::bigint, :user_agent::text,
        :network::text, :referrer::text, :prefetch::smallint, :blocked::smallint, :link::bigint, :url::text,
        :method::text
    )
)
insert into journal
    (account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, blocked, link, url, method)
select
    m.account_id, m.message_id, m.type, m.occurred_at, m.user_agent, m.network, m.referrer, m.prefetch, m.blocked,
    m.link, m.url, m.method
from made m

-- name: insert_opt_out_hit!
insert into journal
    (account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, method)
select
    account_id, :message_id, :type, :occurred_at, :user_agent, :network, :referrer, :prefetch, :method
from suppressions
where account_id = :account_id and address_key = :address_key
    and scope = 'account' and topic = '' and reason = 'unsubscribed' and origin = 'recipient'
    and id = :suppression_id

-- name: insert_undo_hit!
insert into journal
    (account_id, message_id, type, occurred_at, user_agent, network, referrer, prefetch, method)
select
    account_id, :message_id, :type, :occurred_at, :user_agent, :network, :referrer, :prefetch, :method
from suppressions
where account_id = :account_id and id = :suppression_id and reason = 'unsubscribed' and origin = 'recipient'
    and coalesce(repeated_at, created_at) < :said_before

-- name: beat!
insert into heartbeat (name, at) values ('writer', :at) on conflict (name) do update set at = excluded.at
