-- The comments that run $run_id scored, and those for which another version is in force than the one that is assigned
-- to their channel and has scored them.
create or replace temporary table touched as
select comment_id
from {history}
where run_id = $run_id
union
select scores.comment_id
from {current} as scores
semi join {history} as assigned
    on scores.comment_id = assigned.comment_id
    and scores.text_id = assigned.text_id
    and assigned.model_version = {assigned}
where scores.model_version is distinct from {assigned}
