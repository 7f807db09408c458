-- What a customer says about an address. A person's own opt-out shows its address through its message instead.
alter table suppressions add column email text;

alter table suppressions add column note text;

create unique index suppressions_by_id on suppressions (account_id, id);

-- What was added and removed, for those who keep a copy. Neither address nor note: those go when their row goes.
create table suppression_changes (
    account_id bytea not null,
    sequence bigint not null,
    change text not null,
    changed_at bigint not null,
    suppression_id bytea not null,
    scope text not null,
    topic text not null,
    reason text not null,
    origin text not null,
    message_id bytea,
    created_at bigint not null,
    primary key (account_id, sequence)
);

create table suppression_counters (
    account_id bytea not null primary key,
    sequence bigint not null
);

insert into suppression_changes
select account_id, row_number() over (partition by account_id order by id), 'added', created_at, id, scope, topic, reason,
    origin, message_id, created_at
from suppressions;

insert into suppression_counters
select account_id, count(*) from suppressions group by account_id;

-- The consent each lifted opt-out gave way to, kept as its proof.
create table suppression_lifts (
    account_id bytea not null,
    suppression_id bytea not null,
    address_key bytea not null,
    message_id bytea,
    opted_out_at bigint not null,
    consented_at bigint not null,
    method text not null,
    evidence text not null,
    lifted_at bigint not null,
    primary key (account_id, suppression_id)
);
