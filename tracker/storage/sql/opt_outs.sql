-- name: standing(account_id, address_key)
select id, origin, reason, created_at from suppressions
where account_id = :account_id and address_key = :address_key and scope = 'account' and topic = ''
order by created_at, id
