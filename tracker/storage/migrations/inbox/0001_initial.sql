-- Keys are given by the writer in the order of commits; no other index, for each would be paid by every reader's wait.
create table journal (
    id integer not null primary key,
    account_id bytea not null,
    message_id bytea not null,
    type text not null,
    occurred_at bigint not null,
    user_agent text not null,
    network text,
    referrer text,
    prefetch smallint not null,
    link bigint,
    url text,
    method text
);

create table suppressions (
    account_id bytea not null,
    address_key bytea not null,
    scope text not null,
    topic text not null,
    reason text not null,
    origin text not null,
    id bytea not null,
    message_id bytea,
    created_at bigint not null,
    primary key (account_id, address_key, scope, topic, reason, origin)
);

-- Written to learn whether a failing disk takes writes again.
create table heartbeat (
    name text not null primary key,
    at bigint not null
);

insert into heartbeat (name, at) values ('writer', 0);
