create table signing_keys (
    number smallint not null primary key,
    fingerprint bytea not null,
    first_seen_at bigint not null
);

-- One row; its version grows with every change of an account, so that a server sees one by reading one number.
create table directory (
    name text not null primary key,
    version bigint not null
);

insert into directory (name, version) values ('accounts', 0);

-- The one table that does not lead with the account: it is what finds the account.
create table api_keys (
    id bytea not null primary key,
    account_id bytea not null,
    name text not null,
    scopes text not null,
    secret_hash bytea not null,
    created_at bigint not null,
    revoked_at bigint
);

create index api_keys_by_account on api_keys (account_id, created_at);

create table accounts (
    id bytea not null primary key,
    name text not null,
    pepper bytea not null,
    sequence bigint not null,
    created_at bigint not null
);

create table campaigns (
    account_id bytea not null,
    name text not null,
    first_message_at bigint not null,
    messages bigint not null,
    primary key (account_id, name)
);

-- address: exact local part, canonical domain. address_key: what suppressions are found by.
create table recipients (
    account_id bytea not null,
    id bytea not null,
    address text not null,
    address_key bytea not null,
    external_id text,
    created_at bigint not null,
    primary key (account_id, id),
    unique (account_id, address)
);

-- email and external_id as this message was made with; metadata is a JSON object.
create table messages (
    account_id bytea not null,
    id bytea not null,
    recipient_id bytea not null,
    campaign text not null,
    topic text,
    email text,
    external_id text,
    metadata text not null,
    opens smallint not null,
    clicks smallint not null,
    created_at bigint not null,
    sent_at bigint,
    primary key (account_id, id)
);

create index messages_by_recipient on messages (account_id, recipient_id, id);

create index messages_by_external_id on messages (account_id, external_id, id) where external_id is not null;

-- An id begins with the time the event occurred at, so (account_id, id) is also the order of time.
create table events (
    account_id bytea not null,
    id bytea not null,
    sequence bigint not null,
    revision bigint not null,
    type text not null,
    occurred_at bigint not null,
    campaign text not null,
    topic text,
    message_id bytea,
    url text,
    link bigint,
    method text,
    user_agent text,
    client_name text,
    client_os text,
    client_device text,
    ip text,
    referrer text,
    proxied smallint not null,
    verdict text not null,
    verdict_class text,
    signals text not null,
    ruleset bigint not null,
    primary key (account_id, id)
);

create unique index events_by_sequence on events (account_id, sequence);

create index events_by_message on events (account_id, message_id, id);

create index events_by_campaign on events (account_id, campaign, id);

create index events_by_type on events (account_id, type, id);

create index events_by_topic on events (account_id, topic, id) where topic is not null;

-- How many events of a message are of each type and verdict: what unique numbers are made from.
create table message_counts (
    account_id bytea not null,
    message_id bytea not null,
    type text not null,
    verdict text not null,
    total bigint not null,
    primary key (account_id, message_id, type, verdict)
);

create table campaign_counts (
    account_id bytea not null,
    campaign text not null,
    type text not null,
    verdict text not null,
    total bigint not null,
    uniques bigint not null,
    primary key (account_id, campaign, type, verdict)
);

-- Up to which key of the journal everything here follows from it.
create table projection (
    name text not null primary key,
    mark bigint not null,
    dropped bigint not null
);

insert into projection (name, mark, dropped) values ('journal', 0, 0);

-- Journal rows that could not be made into events, with the reason; kept whole, for a release that can.
create table refused (
    account_id bytea not null,
    journal_key bigint not null,
    message_id bytea not null,
    type text not null,
    occurred_at bigint not null,
    hit text not null,
    error text not null,
    primary key (account_id, journal_key)
);
