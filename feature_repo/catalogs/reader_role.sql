-- What the role scorelake_scorer may do in the databases of MLflow and of Feast's registry: read. Run it on each, as its
-- owner, after scorer_role.sql on the catalog's.
do $$
begin
    execute format('grant connect on database %I to scorelake_scorer', current_database());
end
$$;

-- Before PostgreSQL 15 everybody may make tables there.
revoke create on schema public from public;
grant usage on schema public to scorelake_scorer;
grant select on all tables in schema public to scorelake_scorer;
alter default privileges in schema public grant select on tables to scorelake_scorer;
