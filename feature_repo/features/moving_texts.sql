-- Texts that enter or leave a window after $moving_from, up to $until, and a few of the hours beside: at least once
-- each. By instants as they are stored, which leaves files out, and not by the hours made of them; of the spans of
-- publication, none reaches into the next one.
select comment_id, channel_id, former_channel_ids, author_id, published_at, observed_at
from resolved_texts
where
    published_at > $moving_from - interval 30 day
    and published_at <= $until - interval 30 day
union all
select comment_id, channel_id, former_channel_ids, author_id, published_at, observed_at
from resolved_texts
where
    published_at > greatest($moving_from - interval 7 day, $until - interval 30 day)
    and published_at <= $until - interval 7 day
union all
select comment_id, channel_id, former_channel_ids, author_id, published_at, observed_at
from resolved_texts
where
    published_at > greatest($moving_from - interval 1 day, $until - interval 7 day)
    and published_at <= $until - interval 1 day
union all
select comment_id, channel_id, former_channel_ids, author_id, published_at, observed_at
from resolved_texts
where
    published_at > greatest($moving_from, $until - interval 1 day)
    and published_at <= $until
union all
-- late: published before, seen only now
select comment_id, channel_id, former_channel_ids, author_id, published_at, observed_at
from resolved_texts
where
    observed_at > $moving_from
    and observed_at <= $until
    and published_at > $moving_from - interval 30 day
    and published_at <= $moving_from
