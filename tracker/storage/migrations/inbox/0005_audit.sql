-- Of what is changed in this file; other entries stand in the main file.
-- An id begins with the time, so (account_id, id) is also the order of time. Rows are added and, when old, deleted.
create table inbox_audit (
    account_id bytea not null,
    id bytea not null,
    key_id bytea,
    action text not null,
    subject text,
    primary key (account_id, id)
);
