-- Rows of features.comment_features for the texts in `owed_texts`, from what came up to $upto.
with owed as (
    select comments.*
    from raw.comments as comments
    semi join owed_texts on
        comments.comment_id = owed_texts.comment_id
        and comments.text_id = owed_texts.text_id
    where
        comments.ingest_seq <= $upto
        and comments.observed_at >= $texts_from
        and comments.text is not null -- an expired text keeps the features that it had
),
known_counts as (
    -- Imputed observation times say nothing about when a count was reached: it would leak the future.
    select
        comment_id,
        observed_at,
        like_count,
        ingest_seq
    from raw.comment_counts
    where
        not is_observed_at_imputed
        and ingest_seq <= $upto
        and observed_at >= $published_from
        and observed_at <= $texts_to
),
places as (
    select
        owed.comment_id,
        owed.text_id,
        count(distinct earlier.comment_id) as earlier_reply_count_30d,
        max(earlier.ingest_seq) as ingest_seq
    from owed
    inner join raw.comments as earlier -- many to many
        on owed.parent_id = earlier.parent_id
        and owed.comment_id <> earlier.comment_id
        and (earlier.published_at, earlier.comment_id) < (owed.published_at, owed.comment_id)
        and earlier.published_at > owed.published_at - interval 30 day
        and earlier.observed_at <= owed.observed_at
    where earlier.ingest_seq <= $upto and earlier.published_at > $published_from - interval 30 day
    group by owed.comment_id, owed.text_id
),
texts as (
    select
        owed.comment_id,
        owed.text_id,
        owed.text,
        owed.observed_at,
        owed.parent_id,
        known_counts.like_count,
        case
            when owed.parent_id is null then 0
            when owed.published_at is not null then coalesce(places.earlier_reply_count_30d, 0)
        end as earlier_reply_count_30d,
        greatest(owed.ingest_seq, known_counts.ingest_seq, places.ingest_seq) as ingest_seq
    from owed
    -- many texts to at most one count each: the last known
    asof left join known_counts
        on owed.comment_id = known_counts.comment_id
        and owed.observed_at >= known_counts.observed_at
    -- one to at most one
    left join places
        on owed.comment_id = places.comment_id
        and owed.text_id = places.text_id
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
    english_word_share,
    parent_id is not null as is_reply,
    like_count as first_like_count,
    earlier_reply_count_30d,
    token_ids_v1,
    prefix_ids_v1,
    ingest_seq
from ($text_features)
-- so that files can be left out by their instants
order by event_timestamp
