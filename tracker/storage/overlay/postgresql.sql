-- name: set_up
-- Asked of the session, since a pooler between us and the server knows few settings of a connection.
select
    set_config('statement_timeout', :patience_ms, false),
    set_config('lock_timeout', :patience_ms, false),
    set_config('idle_in_transaction_session_timeout', :patience_ms, false),
    set_config('default_transaction_read_only', :reads, false),
    set_config('application_name', 'tracker', false),
    set_config('tcp_keepalives_idle', '5', false),
    set_config('tcp_keepalives_interval', '2', false),
    set_config('tcp_keepalives_count', '3', false),
    set_config('tcp_user_timeout', '10000', false),
    set_config('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on' else
        current_setting('synchronous_commit') end, false)

-- name: nature
select
    current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
    current_setting('server_version_num')::bigint as version

-- name: writable
select pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as read_only

-- name: try_lock
select pg_try_advisory_lock(:number) as got

-- name: damages
select checksum_failures from pg_stat_database where datname = current_database() and checksum_failures > 0

-- name: any_versions
select 1 as found where to_regclass('schema_versions') is not null

-- name: rows
-- What values (...) becomes, with an array for each column in brackets behind it.
select * from unnest
