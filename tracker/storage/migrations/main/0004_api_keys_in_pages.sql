-- Listed in the order of this index, page by page.
drop index api_keys_by_account;

create index api_keys_by_account on api_keys (account_id, created_at, id);
