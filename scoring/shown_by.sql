-- The rows of a spine whose score in force is by a version.
select spine.*
from ({spine}) as spine
semi join (
    select
        comment_id,
        text_id
    from {current}
    where model_version = {version}
) as shown using (comment_id, text_id)
