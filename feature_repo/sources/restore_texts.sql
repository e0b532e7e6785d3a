-- Give expired texts back. One that expired before its features were computed is new to all that comes after: it
-- goes on as a row of this batch.
update raw.comments as comments
set
    text = returned_texts.text,
    ingest_seq = case
        when exists (
            from features.comment_features as features
            where features.comment_id = comments.comment_id
                and features.text_id = comments.text_id
        ) then comments.ingest_seq
        else $ingest_seq
    end
from returned_texts
where returned_texts.comment_id = comments.comment_id
    and returned_texts.text_id = comments.text_id
