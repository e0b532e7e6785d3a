-- What the lake still has of rows that a version learned from and that are no training rows any more.
select
    gone_rows.comment_id,
    exists (
        select 1
        from raw.comments
        where
            comments.comment_id = gone_rows.comment_id
            and comments.text_id = gone_rows.text_id
    ) as has_text,
    exists (
        select 1
        from raw.labels
        where
            labels.comment_id = gone_rows.comment_id
            and labels.task = $task
            and labels.ingest_seq <= $data_version
    ) as has_label
from gone_rows
order by gone_rows.comment_id
