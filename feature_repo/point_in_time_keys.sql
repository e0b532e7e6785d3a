-- The keys that are asked for, numbered: numbers are faster to join and to sort by than texts.
"__keys_{number}" as materialized (
    select
        row_number() over () as "__key",
        *
    from (select distinct {keys} from "__spine")
)
