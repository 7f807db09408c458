-- name: page
select {columns} from {table} {beyond} order by {keys} limit :limit

-- name: beyond
where ({keys}) > ({values})

-- name: insert
insert into {table} ({columns}) values ({values})

-- name: unless_there
on conflict do nothing

-- name: last
select {keys} from {table} order by {descending} limit 1

-- name: count
select count(*) as rows from {table}

-- name: clear
delete from {table}

-- name: mark_copying
insert into installations (part, id) values ('copying', :id)

-- name: copying
select id from installations where part = 'copying'

-- name: forget_copying
delete from installations where part = 'copying'

-- name: set_installation
update installations set id = :id where part = :part

-- name: mark
select mark from projection where name = 'journal'

-- name: set_mark
update projection set mark = :mark where name = 'journal'

-- name: columns_of_files
select m.name as "table", c.name as "column", c.pk as place
from {schema}.sqlite_master m join pragma_table_info(m.name) c
where m.type = 'table' order by m.name, c.cid

-- name: highest_key
select coalesce((select max(id) from journal), 0) as id

-- name: lowest_key
select coalesce((select min(id) from journal), 0) as id

-- name: given_keys
select last_value as id from journal_id_seq

-- name: give_keys_above
select setval('journal_id_seq', :key)

-- name: others
select count(*) as sessions from pg_stat_activity
where application_name = 'tracker' and datname = current_database() and pid <> pg_backend_pid()
