-- Videos of which more became known above $above: their older comments are given another channel, or may have been.
select video_id
from resolved_videos
where ingest_seq > $above
