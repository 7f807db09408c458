-- Of what is changed and looked at in this file; entries of what is changed in the inbox stand there.
-- An id begins with the time, so (account_id, id) is also the order of time. Rows are added and, when old, deleted.
create table audit (
    account_id bytea not null,
    id bytea not null,
    key_id bytea,
    action text not null,
    subject text,
    primary key (account_id, id)
);
