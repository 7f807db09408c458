-- name: create_versions!
create table if not exists schema_versions (
    part text not null,
    version bigint not null,
    name text not null,
    applied_at bigint not null,
    primary key (part, version)
)

-- name: create_installations!
create table if not exists installations (
    part text not null primary key,
    id bytea not null
)

-- name: current_version(part)
select coalesce(max(version), 0) as version from schema_versions where part = :part

-- name: insert_version(part, version, name, applied_at)!
insert into schema_versions (part, version, name, applied_at) values (:part, :version, :name, :applied_at)

-- name: installation(part)
select id from installations where part = :part

-- name: insert_installation(part, id)!
insert into installations (part, id) values (:part, :id) on conflict do nothing
