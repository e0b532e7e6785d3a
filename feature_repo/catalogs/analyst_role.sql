-- A role that reads the lake and can change nothing. Run it once on the catalog's database, as its owner, after the
-- first `scorelake apply`; then `create role alice login password '…' in role scorelake_analyst`, for each analyst.
do $$
begin
    if not exists (select from pg_roles where rolname = 'scorelake_analyst') then
        create role scorelake_analyst nologin;
    end if;
    execute format('grant connect on database %I to scorelake_analyst', current_database());
end
$$;

-- Before PostgreSQL 15 everybody may make tables there.
revoke create on schema public from public;
grant usage on schema public to scorelake_analyst;
-- Those that DuckLake's next release may add, too.
grant select on all tables in schema public to scorelake_analyst;
alter default privileges in schema public grant select on tables to scorelake_analyst;
-- Nobody but the owner can take, or free, the lake's locks by the table of holders.
revoke all on schema scorelake from public;
