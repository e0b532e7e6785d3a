-- What the lake keeps beside DuckLake's own tables: who holds which lock, and a guard at the door of every commit.
create schema if not exists scorelake;

create table if not exists scorelake.holders (
    name text primary key,
    token text not null, -- of the process that holds it
    purpose text not null,
    process_id bigint not null,
    host text not null,
    held_at timestamptz not null default now()
);

-- A connection that was cut off leaves its lock, and may commit all the same: only here can that be known for sure.
-- The row stays locked until the commit is through, so that whoever takes the lock over waits for it.
create or replace function scorelake.check_writer() returns trigger language plpgsql as $$
begin
    perform from scorelake.holders
    where name = 'writer' and token = current_setting('scorelake.token', true) -- null in a session of others
    for share;
    if not found then
        raise exception 'scorelake: this session does not hold the writer lock';
    end if;
    return null;
end
$$;
