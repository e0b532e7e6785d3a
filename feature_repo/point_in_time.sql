-- What was known of each spine row at its instant: one row per row of the spine, in the spine's order.
with "__spine" as materialized (
    select
        row_number() over () as "__spine_row",
        * replace (cast({instant} as timestamptz) as {instant})
    from (
{spine}
    )
){keys}
select
    {columns}
from "__spine"
{joins}{order}
