-- Rows of features.comment_features for the texts that are new above $above, up to $upto; and for older
-- texts whose count at first sight has become known since.
with known_counts as (
    -- Imputed observation times say nothing about when a count was reached: it would leak the future.
    select
        comment_id,
        observed_at,
        like_count,
        ingest_seq
    from raw.comment_counts
    where not is_observed_at_imputed and ingest_seq <= $upto
),
-- one row per text; many texts to at most one count each
observed as (
    select
        comments.comment_id,
        comments.text_id,
        comments.text,
        comments.observed_at,
        comments.parent_id,
        known_counts.like_count,
        greatest(comments.ingest_seq, coalesce(known_counts.ingest_seq, 0)) as ingest_seq
    from raw.comments
    asof left join known_counts
        on comments.comment_id = known_counts.comment_id
        and comments.observed_at >= known_counts.observed_at
    where comments.ingest_seq <= $upto
),
texts as (
    select *
    from observed
    where ingest_seq > $above
)
select
    comment_id,
    text_id,
    observed_at as event_timestamp,
    observed_at as created_timestamp,
    text_chars,
    word_count,
    mean_word_chars,
    capital_share,
    digit_share,
    punctuation_share,
    exclamation_count,
    question_count,
    emoji_count,
    url_count,
    video_time_count,
    stretch_count,
    non_latin_share,
    parent_id is not null as is_reply,
    like_count as first_like_count,
    token_ids_v1,
    ingest_seq
from ({text_features})
