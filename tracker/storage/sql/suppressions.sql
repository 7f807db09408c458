-- name: matching(account_id, address_keys, topic)
-- Account-wide rows always match; rows of a topic when that topic is asked for.
select address_key, reason, scope, min(created_at) as since
from suppressions
where account_id = :account_id and address_key in (:address_keys)
    and (scope = 'account' or (scope = 'topic' and topic = :topic))
group by address_key, reason, scope
