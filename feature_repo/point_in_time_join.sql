-- Many to one: what is joined has one row per key and instant of becoming visible, the last of them. A row that
-- was overtaken (a newer event was visible already) never shows. Events alone decide that: of two rows with the
-- same event, the later created is never visible earlier. DuckDB 1.5.5 takes a null instant for the last of all:
-- "-infinity" stands in for it, and finds nothing. Only numbers and instants of the spine are sorted with it: its other
-- columns, and what was looked up before, may be wide.
left join (
    select
        asked."__spine_row",
        found.*
    from (
        select
            "__spine"."__spine_row",
            {asking}."__key",
            coalesce("__spine".{instant}, timestamptz '-infinity') as "__instant"
        from "__spine"
        join "__keys_{number}" as {asking} on {asked} -- many to one
    ) as asked
    asof join (
        with "__rows" as not materialized (
            select
                {columns}"__key",
                cast({event} as timestamptz) as "__event",
                coalesce(cast({created} as timestamptz), "__event") as "__created",
                {version} as "__version",
                {visible} as "__visible"
            from {source}
            join "__keys_{number}" as numbered on {keys} -- many to one
            where {event} is not null and {where}
        )
        select *
        from (
            select
                *,
                max("__event") over history as "__newest_event",
                lead("__visible") over history as "__next_visible"
            from {rows}
            window history as (
                partition by "__key"
                order by "__visible", "__event", "__created", "__version"
                rows unbounded preceding
            )
        )
        where "__event" = "__newest_event" and "__next_visible" is distinct from "__visible"
    ) as found
        on found."__key" = asked."__key"
        and found."__visible" <= asked."__instant"
) as {name}
    on {name}."__spine_row" = "__spine"."__spine_row" -- one to at most one
