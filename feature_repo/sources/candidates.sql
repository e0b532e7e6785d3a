-- Staged rows as candidates for the lake: each column told, read and checked; one candidate per staged row.
with told as (
    select
        row,
        file,
        position,
        unreadable,
        fields,
        {told}
    from read_parquet($rows)
),
read as (
    select
        row,
        file,
        position,
        unreadable,
        fields,
        [{reading_reasons}] as reading_reasons,
        {read}
    from told
),
checked as (
    select
        *,
        case
            when unreadable is not null then [unreadable]
            else list_filter(
                list_concat(reading_reasons, [{rule_reasons}]),
                lambda reason: reason is not null
            )
        end as reasons
    from read
)
select
    row,
    file,
    position,
    {columns},
    reasons,
    case when len(reasons) > 0 then to_json(fields) end as payload
from checked
