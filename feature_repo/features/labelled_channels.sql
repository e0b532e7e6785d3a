-- Channels of the comments in `labelled_comments`, also those that they were in before their video was known: one row
-- per channel.
with texts as (
    select channel_id, former_channel_id
    from ($labelled_texts)
)
select channel_id
from texts
where channel_id is not null
union
select former_channel_id
from texts
where former_channel_id is not null
