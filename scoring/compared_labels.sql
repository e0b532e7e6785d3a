-- The compared texts whose label came after $since, when neither version could have learned from it: the last label.
select
    compared.group_id,
    labels.label,
    compared.our_label,
    compared.their_label
from compared
-- one to at most one: the last label of the comment
inner join (
    select
        comment_id,
        arg_max(label, (labelled_at, ingest_seq)) as label
    from raw.labels
    where task = $model and labelled_at > $since
    group by comment_id
) as labels using (comment_id)
order by compared.comment_id
