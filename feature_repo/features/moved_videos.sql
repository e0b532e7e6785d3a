-- Videos of which the first observation came above $above: their older comments are given another channel.
select video_id
from resolved_videos
where ingest_seq > $above
