-- Comments whose labels may count otherwise by what came above $above, up to $upto: those with a new label, and those
-- with a label of which there is a new text or whose video has become known. One row per comment.
select comment_id from raw.labels where ingest_seq > $above and ingest_seq <= $upto
union
select comments.comment_id
from raw.comments as comments
semi join raw.labels as labels on comments.comment_id = labels.comment_id
where comments.ingest_seq > $above and comments.ingest_seq <= $upto
union
select comments.comment_id
from raw.comments as comments
semi join moved_videos on comments.video_id = moved_videos.video_id
semi join raw.labels as labels on comments.comment_id = labels.comment_id
where comments.ingest_seq <= $above
