-- Texts that versions $ours and $theirs have both scored since $since: what each said, and the kinds of text they are of.
create or replace temporary table compared as
select
    ours.comment_id,
    ours.text_id,
    coalesce(ours.video_id, ours.comment_id) as group_id,
    ours.label as our_label,
    theirs.label as their_label,
    ours.confidence as our_confidence,
    theirs.confidence as their_confidence,
    ours.is_abstained as is_ours_abstained,
    theirs.is_abstained as is_theirs_abstained,
    {slices}
from {history} as ours
-- one to one: a version scores a text once
inner join {history} as theirs
    on ours.comment_id = theirs.comment_id
    and ours.text_id = theirs.text_id
    and theirs.model_version = $theirs
-- one to at most one: all that differs between rows of one text is their number
left join (
    select *
    from features.comment_features
    qualify row_number() over (
        partition by comment_id, text_id
        order by ingest_seq desc
    ) = 1
) as features
    on ours.comment_id = features.comment_id
    and ours.text_id = features.text_id
where ours.model_version = $ours and (ours.published_at >= $since or $since is null)
