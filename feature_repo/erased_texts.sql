-- Texts that only erased comments have had: what others wrote, too, is nobody's trace.
select distinct comments.text
from raw.comments as comments
semi join erased_comments on erased_comments.comment_id = comments.comment_id
anti join (
    select kept.text_id
    from raw.comments as kept
    anti join erased_comments on erased_comments.comment_id = kept.comment_id
) as others on others.text_id = comments.text_id
where comments.text is not null
