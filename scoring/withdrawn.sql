-- The comments whose text in force has been taken back.
create or replace temporary table touched as
select comment_id
from {current}
anti join raw.comments using (comment_id, text_id)
