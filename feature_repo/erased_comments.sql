-- The comments that are erased: those that were named, and those of authors that were.
create or replace temporary table erased_comments as
select unnest($comment_ids::varchar[]) as comment_id
union
select comment_id
from raw.comments
where list_contains($author_ids::varchar[], author_id)
