-- The row in force of each comment that run $run_id scored, of its new scores and those in `replaced`: of its latest text;
-- of one text, the newest score. All of them are about texts that came above data version $above.
with candidates as (
    select * from {history} where run_id = $run_id
    union all by name
    select * from replaced
)
select candidates.*
from candidates
-- many scores to one text each
inner join raw.comments as texts
    on candidates.comment_id = texts.comment_id
    and candidates.text_id = texts.text_id
where texts.ingest_seq > $above
qualify row_number() over (
    partition by candidates.comment_id
    order by texts.observed_at desc, texts.ingest_seq desc, candidates.text_id, candidates.scored_at desc
) = 1
