-- Listed in the order of their ids, which begin with the time a topic was made.
create table topics (
    account_id bytea not null,
    name text not null,
    id bytea not null,
    created_at bigint not null,
    messages bigint not null,
    primary key (account_id, name)
);

create unique index topics_by_id on topics (account_id, id);

-- A topic used before there was this table begins with its first message, whose id it takes.
insert into topics (account_id, name, id, created_at, messages)
select account_id, topic, id, created_at, total
from (
    select
        account_id, topic, id, created_at,
        row_number() over (partition by account_id, topic order by id) as place,
        count(*) over (partition by account_id, topic) as total
    from messages
    where topic is not null
) used
where place = 1;
