-- A row overtaken before it became visible (a newer event was known already) never shows, nor does any but the
-- last row of its key and instant. Comparing events is enough: among rows of one event, a later created is
-- never visible earlier, so the greatest event so far decides and the order within it is already right.
asof left join (
    select *
    from (
        select
            *,
            max("__event") over history as "__newest_event",
            lead("__visible") over history as "__next_visible"
        from (
            select
                {columns},
                cast({event} as timestamptz) as "__event",
                coalesce(cast({created} as timestamptz), "__event") as "__created",
                {version} as "__version",
                {visible} as "__visible"
            from {table} as source
            semi join spine on {semi}
            where {state}
        )
        window history as (
            partition by {keys}
            order by "__visible", "__event", "__created", "__version"
            rows unbounded preceding
        )
    )
    where "__event" = "__newest_event" and "__next_visible" is distinct from "__visible"
) as {name} on {join} and {name}."__visible" <= spine.{instant}
