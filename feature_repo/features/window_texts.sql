-- The texts that tell how the windows of `changed_ranges` change: of comments that enter or leave a window, or are
-- counted, between $hours_from and $hours_to; and of their authors' other comments in the channel, which say whether an
-- author comes and goes with them.
with concerned as (
    select
        comment_id,
        channel_id,
        author_id
    from resolved_texts
    -- by the columns as they are stored, which leaves files out, and not by the hours made of them
    where
        published_at > $published_from
        and published_at <= $hours_to
        and (
            (
                greatest(published_at, observed_at) > $hours_from - interval 1 hour
                and greatest(published_at, observed_at) <= $hours_to
            )
            or (
                published_at > $hours_from - interval '1 day 1 hour'
                and published_at <= $hours_to - interval 1 day
            )
            or (
                published_at > $hours_from - interval '7 day 1 hour'
                and published_at <= $hours_to - interval 7 day
            )
            or (
                published_at > $hours_from - interval '30 day 1 hour'
                and published_at <= $hours_to - interval 30 day
            )
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
    select resolved_texts.comment_id
    from resolved_texts
    semi join concerned
        on resolved_texts.channel_id = concerned.channel_id
        and resolved_texts.author_id = concerned.author_id
    where resolved_texts.published_at > $published_from and resolved_texts.published_at <= $hours_to
)
select resolved_texts.*
from resolved_texts
semi join wanted on resolved_texts.comment_id = wanted.comment_id
where
    resolved_texts.published_at > $published_from
    and resolved_texts.published_at <= $hours_to
    -- seen within the month in which it counts
    and resolved_texts.observed_at <= resolved_texts.published_at + interval 30 day
