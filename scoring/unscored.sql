-- The rows of a spine that a version has not scored yet, in whatever role.
select spine.*
from ({spine}) as spine
anti join (
    select
        comment_id,
        text_id
    from {history}
    where model_version = {version}
) as scored using (comment_id, text_id)
