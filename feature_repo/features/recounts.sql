-- Counts that came above $above, up to $upto; and older ones that became known after $since, up to $until.
select
    comment_id,
    observed_at,
    true as is_new
from raw.comment_counts
where not is_observed_at_imputed and ingest_seq > $above and ingest_seq <= $upto
union all
select
    comment_id,
    observed_at,
    false as is_new
from raw.comment_counts
where
    not is_observed_at_imputed
    and observed_at > $since
    and observed_at <= $until
    and ingest_seq <= $above
