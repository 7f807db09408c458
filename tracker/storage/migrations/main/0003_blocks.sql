-- What the operator has stopped for abuse. It is the installation's, and no account's.
create table blocks (
    kind text not null,
    value text not null,
    id bytea not null,
    reason text not null,
    created_at bigint not null,
    primary key (kind, value)
);

create unique index blocks_by_id on blocks (id);

-- Its version grows with every block, and with every change of the hosts an account may link to.
insert into directory (name, version) values ('blocks', 0);

-- Whether the operator has yet to confirm the account.
alter table accounts add column limited smallint not null default 0;

-- The hosts an account may link to, with spaces between; null: any.
alter table accounts add column allowed_hosts text;

-- Messages of a limited account, by the day in UTC they were made on: days since 1970.
create table daily_messages (
    account_id bytea not null,
    day bigint not null,
    messages bigint not null,
    primary key (account_id, day)
);
