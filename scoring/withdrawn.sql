-- The rows that take the place of those in {current} whose text has been taken back: for each such comment,
-- its latest text that is left and was scored for production; of one text, the newest score.
select history.*
from {history} as history
-- many scores to one text each
inner join raw.comments as texts
    on history.comment_id = texts.comment_id
    and history.text_id = texts.text_id
-- many scores to one run each
inner join ops.runs as runs
    on history.run_id = runs.run_id
    and runs.role in ('production', 'backfill')
where history.comment_id in (select comment_id from withdrawn)
qualify row_number() over (
    partition by history.comment_id
    order by texts.observed_at desc, texts.ingest_seq desc, history.text_id, history.scored_at desc
) = 1
