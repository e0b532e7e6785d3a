-- The good comments of the batch without their text, with the instant at which each text was seen: as told,
-- else when it was written, else when its video was, else now; all but the first are imputed.
create or replace temp table arrivals as
with first_seen as (
    select
        video_id,
        coalesce(min(published_at), min(observed_at)) as seen_at
    from raw.videos
    group by video_id
)
select
    candidates.* exclude (text, observed_at, is_observed_at_imputed, labelled_at, reasons, payload),
    coalesce(candidates.observed_at, candidates.published_at, first_seen.seen_at, $now) as observed_at,
    candidates.observed_at is null or coalesce(candidates.is_observed_at_imputed, false) as is_observed_at_imputed,
    coalesce(candidates.labelled_at, $now) as labelled_at,
    candidates.labelled_at is null as is_labelled_at_imputed
from read_parquet($candidates) as candidates
left join first_seen on first_seen.video_id = candidates.video_id -- many to one: one row per video
where len(candidates.reasons) = 0
