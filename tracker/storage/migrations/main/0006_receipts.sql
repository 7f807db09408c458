-- What keeps a call with an Idempotency-Key from being carried out twice: digests and ids, for a day. Each part brings
-- this table, since it is written in the transaction of the effect; where both are in one database, they share it.
create table if not exists receipts (
    account_id bytea not null,
    route text not null,
    key bytea not null,
    fingerprint bytea not null,
    made bytea not null,
    created_at bigint not null,
    primary key (account_id, route, key)
);

create index if not exists receipts_by_time on receipts (account_id, created_at);
