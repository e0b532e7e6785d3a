-- Rows of features.channel_labels of the channels in `labelled_channels`, from what came up to $upto.
--
-- A label is on the text that its comment had when it was given. It counts from just after that instant, and until
-- a later label replaces it or another text does: so no text ever meets a label of its own comment. Where it would have
-- begun or ended by what was known before, nothing counts any more, and yet there is a row: instants are only ever added,
-- so that a rebuild has those that increments have left.
with verdicts as (
    select
        comment_id,
        task,
        label,
        labelled_at,
        ingest_seq,
        lead(labelled_at) over (partition by comment_id, task order by labelled_at, ingest_seq) as relabelled_at
    from raw.labels
    where ingest_seq <= $upto and task in ('sentiment', 'spam')
),
texts as (
    select
        *,
        min(observed_at) over (partition by comment_id) as first_observed_at,
        min((observed_at, resolved_seq)) over (partition by comment_id)[2] as first_seq,
        min(observed_at) over (partition by comment_id order by ingest_seq) = observed_at as was_first
    from resolved_texts
    semi join verdicts on resolved_texts.comment_id = verdicts.comment_id
),
everywhere as (
    select
        * exclude (former_channel_ids),
        1 as weight
    from texts
    union all by name
    -- where the comment was before its video was known
    select
        * exclude (channel_id, former_channel_ids),
        unnest(former_channel_ids) as channel_id,
        0 as weight
    from texts
),
given as (
    select
        everywhere.channel_id,
        everywhere.weight,
        everywhere.observed_at,
        everywhere.resolved_seq,
        everywhere.first_seq,
        everywhere.was_first,
        verdicts.*,
        greatest(verdicts.labelled_at, everywhere.first_observed_at) as given_at
    from verdicts
    inner join everywhere on verdicts.comment_id = everywhere.comment_id -- many to many
    where everywhere.channel_id in (select channel_id from labelled_channels)
),
-- one row per label and channel
spans as (
    select
        channel_id,
        weight,
        task,
        label,
        given_at + interval 1 microsecond as from_at,
        least(
            coalesce(min(observed_at) filter (where observed_at > given_at), timestamptz 'infinity'),
            case
                when relabelled_at is null then timestamptz 'infinity'
                else greatest(relabelled_at, given_at) + interval 1 microsecond
            end
        ) as to_at,
        greatest(ingest_seq, first_seq) as ingest_seq,
        coalesce(arg_min(resolved_seq, observed_at) filter (where observed_at > given_at), 0) as retexted_seq
    from given
    group by channel_id, weight, comment_id, task, label, labelled_at, relabelled_at, given_at, ingest_seq, first_seq
),
changes as (
    select channel_id, from_at as known_at, task, label, weight, ingest_seq
    from spans
    where from_at < to_at
    union all
    select channel_id, to_at, task, label, -weight, greatest(ingest_seq, retexted_seq)
    from spans
    where from_at < to_at and to_at < timestamptz 'infinity'
    union all
    -- where the label began when this was the first text that was known, and ended when it was the second
    select
        channel_id,
        unnest([
            case when was_first then greatest(labelled_at, observed_at) + interval 1 microsecond end,
            case when observed_at > given_at then observed_at end
        ]) as known_at,
        task,
        label,
        0,
        greatest(ingest_seq, resolved_seq)
    from given
),
sums as (
    select
        channel_id,
        known_at,
        sum(sum(weight) filter (where task = 'sentiment')) over instants as sentiments,
        sum(sum(weight) filter (where task = 'sentiment' and label = 'negative')) over instants as negatives,
        sum(sum(weight) filter (where task = 'sentiment' and label = 'positive')) over instants as positives,
        sum(sum(weight) filter (where task = 'spam')) over instants as judged,
        sum(sum(weight) filter (where task = 'spam' and label = 'spam')) over instants as spams,
        max(max(ingest_seq)) over instants as ingest_seq
    from changes
    where known_at is not null
    group by channel_id, known_at
    window instants as (partition by channel_id order by known_at)
)
select
    channel_id,
    known_at as event_timestamp,
    known_at as created_timestamp,
    coalesce(sentiments, 0)::bigint as sentiment_label_count,
    coalesce(negatives, 0) / nullif(sentiments, 0) as negative_label_share,
    coalesce(positives, 0) / nullif(sentiments, 0) as positive_label_share,
    coalesce(judged, 0)::bigint as spam_label_count,
    coalesce(spams, 0) / nullif(judged, 0) as spam_label_share,
    ingest_seq
from sums
except
select *
from features.channel_labels
where channel_id in (select channel_id from labelled_channels)
