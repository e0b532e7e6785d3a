-- The comments that tell how the windows of `changed_ranges` change: those that enter or leave a window, or are counted,
-- between $hours_from and $hours_to (`is_concerned`); and their authors' other comments in the channel, which say
-- whether an author comes and goes with them. One row per comment.
select
    comment_id,
    bool_or(is_concerned) as is_concerned
from (
    select comment_id, true as is_concerned
    from moving_texts
    union all
    select comment_id, true
    from raw.comment_counts
    where
        not is_observed_at_imputed
        and ingest_seq <= $upto
        and observed_at > $hours_from - interval 1 hour
        and observed_at <= $hours_to
    union all
    select texts.comment_id, false
    from ($authors_texts) as texts
    semi join moving_texts
        on texts.channel_id = moving_texts.channel_id
        and texts.author_id = moving_texts.author_id
)
group by comment_id
