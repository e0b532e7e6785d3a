-- Texts that are there, with a row of features.comment_features that lacks something.
select
    comment_id,
    text_id,
    observed_at,
    published_at
from raw.comments as comments
where
    text is not null
    and exists (
        from features.comment_features as features
        where features.comment_id = comments.comment_id
            and features.text_id = comments.text_id
            and ($is_lacking)
    )
