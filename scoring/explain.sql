-- The score in force for $comment_id, the text it is about, the run that gave it, and how its version came to be
-- champion or canary.
select
    scores.*,
    texts.text,
    texts.observed_at,
    texts.source,
    texts.batch_id,
    runs.role,
    runs.started_at as run_started_at,
    promotions.action as version_action,
    promotions.decided_at as version_decided_at,
    promotions.run_id as version_run_id
from {current} as scores
-- many scores to one text each
inner join raw.comments as texts
    on scores.comment_id = texts.comment_id
    and scores.text_id = texts.text_id
-- many scores to one run each
inner join ops.runs as runs on scores.run_id = runs.run_id
-- many scores to at most one decision each: the last on the version before it scored
asof left join (
    select *
    from ops.promotions
    where model = $model and action <> 'refused'
) as promotions
    on scores.model_version = promotions.version
    and scores.scored_at >= promotions.decided_at
where scores.comment_id = $comment_id
