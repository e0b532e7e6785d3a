-- Scored comments of the current window and of the reference before it, and when the first of them all was seen.
select
    count(*) filter (where texts.observed_at >= $window_from) as current_rows,
    count(*) filter (where texts.observed_at < $window_from) as reference_rows,
    min(texts.observed_at) as first_at
from {current} as scores
-- many scores to one text each
inner join raw.comments as texts
    on scores.comment_id = texts.comment_id
    and scores.text_id = texts.text_id
where texts.observed_at >= $reference_from and texts.observed_at < $window_to
