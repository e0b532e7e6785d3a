-- The texts that tell how the windows change, of those seen within the month in which they count: all of the concerned
-- among `wanted_comments`; of the others of an author in a channel, only the first text of the comment that stays the
-- longest.
with texts as (
    select
        resolved.* exclude (video_id, parent_id),
        wanted_comments.is_concerned
    from ($wanted_texts) as resolved
    inner join wanted_comments on resolved.comment_id = wanted_comments.comment_id -- many to one
    where resolved.observed_at <= resolved.published_at + interval 720 hour
),
others as (
    -- one row per comment: its first text
    select *
    from texts
    where not is_concerned
    qualify row_number() over (partition by comment_id order by observed_at, text_id) = 1
),
stayed as (
    -- one row per channel and author; what is seen only later changes nothing yet
    select *
    from others
    where author_id is not null and greatest(published_at, observed_at) <= $hours_from - interval 1 hour
    qualify row_number() over (partition by channel_id, author_id order by published_at desc, comment_id) = 1
)
select * from texts where is_concerned
union all
select * from stayed
