-- Comments of other batches whose features rest on a batch: its counts are theirs, or its replies are in their thread.
select distinct comments.comment_id
from raw.comments as comments
where
    comments.batch_id <> $batch_id
    and (
        comments.comment_id in (select comment_id from raw.comment_counts where batch_id = $batch_id)
        or comments.comment_id in (select comment_id from raw.comments where batch_id = $batch_id)
        or comments.parent_id in (select parent_id from raw.comments where batch_id = $batch_id)
    )
order by comments.comment_id
