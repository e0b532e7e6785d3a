-- Comments that are not shown any more, and those that are shown again, as far as that is news. Only a listing of
-- the whole video tells that something is gone.
insert into raw.comment_deletions by name
with known as (
    select distinct
        comments.comment_id,
        listings.video_id,
        listings.observed_at,
        listings.is_whole
    from raw.comments as comments
    join finished_listings as listings -- many to one: one listing per video
        on listings.video_id = comments.video_id
        and listings.began_at > comments.observed_at
    where comments.source = 'youtube'
),
latest as (
    select
        comment_id,
        arg_max(is_deleted, observed_at) as is_deleted
    from raw.comment_deletions
    where video_id in (select video_id from finished_listings)
    group by comment_id
),
judged as (
    select
        known.*,
        coalesce(latest.is_deleted, false) as was_deleted,
        seen.comment_id is null as is_deleted
    from known
    left join latest -- one to one
        on latest.comment_id = known.comment_id
    left join seen_comments as seen -- one to one
        on seen.comment_id = known.comment_id
)
select
    comment_id,
    video_id,
    observed_at,
    is_deleted,
    $run_id as run_id
from judged
where is_deleted <> was_deleted
    and (is_whole or not is_deleted)
