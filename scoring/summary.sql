-- The rows of a summary for the groups in `touched_groups`: one per label of the model, over the scores in force.
-- Interval: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 95 %.
with scores as (
    select
        *,
        cast(published_at as date) as published_on,
        {mood} as mood
    from {current}
    {bounds}
),
counted as (
    select
        {key},
        {facts}
        count(*) as comment_count,
        histogram(label) as label_counts,
        avg(cast(is_abstained as integer)) as abstained_share,
        avg(mood) as mood
    from scores
    -- many scores to one touched group each
    semi join touched_groups using ({key})
    group by {key}
),
shares as (
    select
        counted.* exclude (label_counts),
        labels.label,
        coalesce(label_counts[labels.label], 0) as label_count,
        label_count / comment_count as label_share,
        pow(1.959964, 2) / comment_count as spread,
        sqrt(spread * (label_share * (1 - label_share) + spread / 4)) as half_width
    from counted
    -- each group with each label of the model
    cross join (select unnest($labels) as label) as labels
)
select
    $model as model,
    shares.* exclude (spread, half_width),
    greatest(0, (label_share + spread / 2 - half_width) / (1 + spread)) as label_share_low,
    least(1, (label_share + spread / 2 + half_width) / (1 + spread)) as label_share_high
from shares
