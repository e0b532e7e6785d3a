-- One row per labelled comment: its label in force at {as_of}, on the text that was judged.
with verdicts as (
    select
        comment_id,
        label,
        labelled_at,
        source as label_source,
        labeller
    from raw.labels
    where
        task = {task}
        and ingest_seq <= {data_version:d}
        and labelled_at <= {as_of}
    qualify row_number() over (
        partition by comment_id
        order by
            labelled_at desc,
            ingest_seq desc,
            label
    ) = 1
)

select
    spine.*,
    verdicts.label,
    verdicts.labelled_at,
    verdicts.label_source,
    verdicts.labeller
from ({spine}) as spine
inner join verdicts on verdicts.comment_id = spine.comment_id -- many texts to one verdict
qualify row_number() over (
    partition by spine.comment_id
    order by
        -- The latest text that the labeller can have seen; if every text is later, the first.
        spine.event_timestamp <= verdicts.labelled_at desc,
        abs(epoch_us(verdicts.labelled_at) - epoch_us(spine.event_timestamp)),
        spine.ingest_seq,
        spine.text_id
) = 1
