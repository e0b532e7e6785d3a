-- The texts that tell how the windows of `changed_ranges` change: of comments that enter or leave a window, or are
-- counted, between $hours_from and $hours_to; and of their authors' other comments in the channel, which say whether an
-- author comes and goes with them.
with concerned as (
    select
        comment_id,
        channel_id,
        author_id
    from placed_texts
    where
        published_at > $published_from
        and published_at <= $hours_to
        and (
            enters_at between $hours_from and $hours_to
            or leaves_1d_at between $hours_from and $hours_to
            or leaves_7d_at between $hours_from and $hours_to
            or leaves_30d_at between $hours_from and $hours_to
        )
),
wanted as (
    select comment_id from concerned
    union
    select comment_id
    from raw.comment_counts
    where
        not is_observed_at_imputed
        and ingest_seq <= $upto
        and observed_at > $hours_from - interval 1 hour
        and observed_at <= $hours_to
    union
    select placed_texts.comment_id
    from placed_texts
    semi join concerned
        on placed_texts.channel_id = concerned.channel_id
        and placed_texts.author_id = concerned.author_id
    where placed_texts.published_at > $published_from and placed_texts.published_at <= $hours_to
)
select placed_texts.*
from placed_texts
semi join wanted on placed_texts.comment_id = wanted.comment_id
where
    placed_texts.published_at > $published_from
    and placed_texts.published_at <= $hours_to
    and placed_texts.enters_at < placed_texts.leaves_30d_at
