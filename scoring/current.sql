-- The row in force for every comment that run $run_id scored: its latest text; of one text, the newest score.
with scored as (
    select * from {history} where run_id = $run_id
),
candidates as (
    select * from scored
    union all
    select * from {current} where comment_id in (select comment_id from scored)
)
select candidates.*
from candidates
-- many scores to one text each
inner join raw.comments as texts
    on candidates.comment_id = texts.comment_id
    and candidates.text_id = texts.text_id
qualify row_number() over (
    partition by candidates.comment_id
    order by texts.observed_at desc, texts.ingest_seq desc, candidates.text_id, candidates.scored_at desc
) = 1
