-- A role that scores: it reads the lake, writes scores, runs and what is watched, and promotes nothing. Run it on the
-- catalog's database, as its owner, after the first `scorelake apply` and again after an upgrade; then
-- `create role nightly login password '…' in role scorelake_scorer`. On the databases of MLflow and of Feast's registry
-- run reader_role.sql. What the key to the bucket needs is in decision 0036.
do $$
begin
    if not exists (select from pg_roles where rolname = 'scorelake_scorer') then
        create role scorelake_scorer nologin;
    end if;
    execute format('grant connect on database %I to scorelake_scorer', current_database());
end
$$;

-- Before PostgreSQL 15 everybody may make tables there.
revoke create on schema public from public;
grant usage on schema public, scorelake to scorelake_scorer;
grant select on all tables in schema public to scorelake_scorer;
alter default privileges in schema public grant select on tables to scorelake_scorer;
-- The locks, which every writer holds.
revoke all on schema scorelake from public;
grant select, insert, update, delete on scorelake.holders to scorelake_scorer;

-- A commit of rows. What makes, names or drops tables is not among it, nor what gives up snapshots or deletes files.
grant insert on ducklake_snapshot, ducklake_snapshot_changes, ducklake_name_mapping to scorelake_scorer;
grant insert, update on ducklake_data_file, ducklake_delete_file, ducklake_file_column_stats,
    ducklake_file_variant_stats, ducklake_file_partition_value, ducklake_table_stats, ducklake_table_column_stats,
    ducklake_column_mapping to scorelake_scorer;

-- All tables of a lake share those of its catalog: which one a row is about, only the row says.
create or replace function scorelake.may_score_into(id bigint) returns boolean language sql stable
set search_path = pg_catalog, pg_temp as $$
    select exists (
        select from public.ducklake_table as t
        join public.ducklake_schema as s on s.schema_id = t.schema_id -- one row: as both are now
        where t.table_id = id and t.end_snapshot is null and s.end_snapshot is null
        and (s.schema_name in ('scores', 'monitoring')
            or s.schema_name = 'ops' and t.table_name in ('runs', 'leases', 'alerts'))
    )
$$;

-- search_path: a temporary table of the same name must not stand in for the catalog's.
create or replace function scorelake.check_table() returns trigger language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
    line jsonb;
    id bigint;
begin
    if pg_has_role((select relowner from pg_class where oid = tg_relid), 'member') then
        return new;
    end if;
    foreach line in array array[to_jsonb(new), to_jsonb(old)] loop
        for id in
            select (line ->> 'table_id')::bigint
            union
            select table_id from public.ducklake_data_file where data_file_id = (line ->> 'data_file_id')::bigint
            union
            select table_id from public.ducklake_column_mapping where mapping_id = (line ->> 'mapping_id')::bigint
        loop
            if id is not null and not scorelake.may_score_into(id) then
                raise exception 'scorelake: the role % may not change %', session_user, coalesce(
                    (select s.schema_name || '.' || t.table_name from public.ducklake_table as t
                    join public.ducklake_schema as s on s.schema_id = t.schema_id where t.table_id = id limit 1),
                    'a table that is not there'
                ) using errcode = 'insufficient_privilege';
            end if;
        end loop;
        -- A file of another table, taken for one of its own, would be deleted with it one day.
        if not (line ->> 'path_is_relative')::boolean or line ->> 'path' ~ '(^|/)\.\.?(/|$)' then
            raise exception 'scorelake: the role % may not register %', session_user, line ->> 'path'
                using errcode = 'insufficient_privilege';
        end if;
    end loop;
    return new;
end
$$;

do $$
declare
    guarded text;
begin
    foreach guarded in array array[
        'ducklake_data_file', 'ducklake_delete_file', 'ducklake_file_column_stats', 'ducklake_file_variant_stats',
        'ducklake_file_partition_value', 'ducklake_table_stats', 'ducklake_table_column_stats',
        'ducklake_column_mapping', 'ducklake_name_mapping'
    ] loop
        execute format('drop trigger if exists check_table on %I', guarded);
        execute format(
            'create trigger check_table before insert or update on %I '
            'for each row execute function scorelake.check_table()', guarded
        );
    end loop;
end
$$;
