-- The bad rows of the batch, but for those that were refused before.
insert into raw.quarantine by name
select
    $batch_id as batch_id,
    $kind as kind,
    candidates.file,
    candidates.position,
    candidates.reasons,
    candidates.payload,
    $now as quarantined_at
from read_parquet($candidates) as candidates
where len(candidates.reasons) > 0
    and not exists (
        from raw.quarantine as stored
        where stored.kind = $kind
            and stored.file = candidates.file
            and stored.position = candidates.position
            and stored.payload = candidates.payload
    )
