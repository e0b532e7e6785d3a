-- Where the listing of each video stands. What was listed before a batch of comments from YouTube was taken back
-- may be gone: its cursors do not count.
with reverts as (
    select max(reverts.ended_at) as reverted_at
    from ops.runs as reverts
    join ops.runs as batches -- many to one: run_id is the key
        on batches.run_id = (reverts.details->>'reverts')
    where reverts.kind = 'revert'
        and (batches.details->>'source') = 'youtube'
        and (batches.details->>'kind') = 'comments'
)
select
    cursors.video_id,
    cursors.state,
    cursors.began_at,
    cursors.is_full,
    cursors.reason,
    cursors.page_token,
    cursors.comment_count,
    cursors.caught_up_at,
    cursors.completed_at
from ops.cursors as cursors
cross join reverts -- many to one: reverts is one row
where cursors.video_id in (select unnest($video_ids))
    and (reverts.reverted_at is null or cursors.began_at > reverts.reverted_at)
