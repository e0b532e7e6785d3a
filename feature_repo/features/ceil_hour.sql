-- The first full hour that is not before an instant.
create or replace temporary macro ceil_hour(instant) as
    time_bucket(interval 1 hour, instant + interval '3599.999999' second)
