-- Channels of the comments in `labelled_comments`, also those that they were in before their video was known: one row
-- per channel.
select distinct channel_id
from (
    select unnest(list_prepend(channel_id, former_channel_ids)) as channel_id
    from ($labelled_texts)
)
where channel_id is not null
