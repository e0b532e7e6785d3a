-- Texts whose features are owed: those that came above $above, up to $upto, and older ones of which more has
-- become known since: a count at first sight, or an earlier reply in their thread.
select
    comment_id,
    text_id,
    observed_at,
    published_at
from raw.comments
where ingest_seq > $above and ingest_seq <= $upto
union
select
    older.comment_id,
    older.text_id,
    older.observed_at,
    older.published_at
from raw.comments as older
inner join raw.comment_counts as late -- many to many
    on older.comment_id = late.comment_id
    and older.observed_at >= late.observed_at
where
    older.ingest_seq <= $above
    and older.observed_at >= $counts_from
    and late.ingest_seq > $above
    and late.ingest_seq <= $upto
    and not late.is_observed_at_imputed
union
select
    older.comment_id,
    older.text_id,
    older.observed_at,
    older.published_at
from raw.comments as older
inner join raw.comments as late -- many to many
    on older.parent_id = late.parent_id
    and older.published_at >= late.published_at
    and older.observed_at >= late.observed_at
where
    older.ingest_seq <= $above
    and older.observed_at >= $replies_from
    and late.ingest_seq > $above
    and late.ingest_seq <= $upto
