-- The first full hour that is not before an instant; by numbers, which costs a tenth of what the calendar does.
create or replace temporary macro ceil_hour(instant) as
    make_timestamptz(ceil(epoch_us(instant) / 3600000000)::bigint * 3600000000)
