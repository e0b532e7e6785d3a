-- The earliest event of which the online store does not know: of a later batch, or of hours that have come since.
select min(event_timestamp)
from {table}
where
    event_timestamp <= $end_at
    and (ingest_seq > $data_version or event_timestamp > $filled_at)
