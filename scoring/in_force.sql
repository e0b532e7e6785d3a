-- The row in force of each comment in `touched`: of its latest text that is left, the score by the version that is
-- assigned to its channel, whoever ran it; without one, the newest that was given for production.
select scores.*
from {history} as scores
-- many scores to one text each
inner join raw.comments as texts
    on scores.comment_id = texts.comment_id
    and scores.text_id = texts.text_id
-- many scores to one run each
inner join ops.runs as runs on scores.run_id = runs.run_id
where
    scores.comment_id in (select comment_id from touched)
    and (runs.role in ('production', 'backfill') or scores.model_version = {assigned})
qualify row_number() over (
    partition by scores.comment_id
    order by
        texts.observed_at desc,
        texts.ingest_seq desc,
        scores.text_id,
        scores.model_version is not distinct from {assigned} desc,
        scores.scored_at desc
) = 1
