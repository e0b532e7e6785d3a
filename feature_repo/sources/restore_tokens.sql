-- Give the tokens of returned texts back: computed anew, they are what they were.
update features.comment_features as features
set {assignments}
from (
    with texts as (
        from returned_texts
    )
    from ({text_features})
) as computed
where computed.comment_id = features.comment_id
    and computed.text_id = features.text_id
