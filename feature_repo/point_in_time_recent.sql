(
            select *
            from "__rows"
            where "__visible" >= {since}
            union all
            -- of the rows that are visible before the spine begins, only the last of a key can be a value
            (
                select *
                from "__rows"
                where "__visible" < {since}
                qualify row_number() over (
                    partition by "__key"
                    order by ("__event", "__created", "__version") desc
                ) = 1
            )
        )
