-- When something was last seen, of what came above $above, up to $upto.
select max(observed_at)
from (
    select observed_at
    from raw.comments
    where ingest_seq > $above and ingest_seq <= $upto
    union all
    select observed_at
    from raw.comment_counts
    where ingest_seq > $above and ingest_seq <= $upto
)
