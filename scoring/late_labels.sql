-- Comments whose last label was given in [$since, $now], with the score that was in force then and what slices need.
-- A comment that was not scored by then is in no row.
with labels as (
    select
        comment_id,
        arg_max(label, (labelled_at, ingest_seq)) as label,
        max(labelled_at) as labelled_at
    from raw.labels
    where task = $model and labelled_at <= $now
    group by comment_id
    having max(labelled_at) >= $since
),
champions as (
    select
        decided_at,
        champion_after
    from ops.promotions
    where model = $model and action in ('promoted', 'rolled_back')
),
judged as (
    select
        labels.*,
        champions.champion_after as champion
    from labels
    -- a label to the last decision before it, if there was any
    asof left join champions on labels.labelled_at >= champions.decided_at
),
matched as (
    select
        judged.label,
        judged.labelled_at,
        scores.*
            exclude (label)
    from judged
    -- a label to many scores, of which one is kept
    inner join {history} as scores
        on judged.comment_id = scores.comment_id
        and scores.scored_at <= judged.labelled_at
    -- many scores to one run each
    inner join ops.runs as runs on scores.run_id = runs.run_id
    where runs.role in ('production', 'backfill')
    -- As in force: by the champion of that time, else (a canary, or older) the newest.
    qualify row_number() over (
        partition by judged.comment_id
        order by scores.model_version is not distinct from judged.champion desc, scores.scored_at desc
    ) = 1
)
select
    matched.label,
    matched.model_version,
    cast(date_trunc('week', matched.labelled_at) as date) as week_on,
    coalesce(matched.video_id, matched.comment_id) as group_id,
    {columns}
from matched
-- one score to the versions of its features: the newest; none if they are gone
left join features.comment_features as features
    on matched.comment_id = features.comment_id
    and matched.text_id = features.text_id
qualify row_number() over (
    partition by matched.comment_id
    order by features.created_timestamp desc nulls last, features.ingest_seq desc
) = 1
order by matched.comment_id
