-- Many to one: all rows of a key describe one instant and were knowable from one; of them the last to come counts. Which
-- that is, is found by keys and versions alone: rows may be wide.
left join "__keys_{number}" as {asking} on {asked} -- many to one
left join (
    select
        {columns}"__key",
        cast({event} as timestamptz) as "__event",
        coalesce(cast({created} as timestamptz), "__event") as "__created",
        {visible} as "__visible"
    from (
        select
            numbered."__key",
            arg_max(source.rowid, source.{version}) as "__rowid"
        from {source}
        join "__keys_{number}" as numbered on {keys} -- many to one
        where {event} is not null and {where}
        group by numbered."__key"
    ) as newest
    join {source} on source.rowid = newest."__rowid" -- one to one
    where {event} is not null and {where}
) as {name}
    on {name}."__key" = {asking}."__key"
    and {name}."__visible" <= "__spine".{instant}
