-- From when on older texts can be concerned by what came above $above, up to $upto; so that no older file is read.
select
    coalesce(
        (
            select min(observed_at)
            from raw.comment_counts
            where ingest_seq > $above and ingest_seq <= $upto and not is_observed_at_imputed
        ),
        timestamptz 'infinity'
    ) as counts_from,
    coalesce(
        (
            select min(observed_at)
            from raw.comments
            where ingest_seq > $above and ingest_seq <= $upto and parent_id is not null
        ),
        timestamptz 'infinity'
    ) as replies_from
