-- The good labels of the batch, with the instant of labelling: as told, else now.
create or replace temp table arrivals as
select
    * exclude (labelled_at, reasons, payload),
    coalesce(labelled_at, $now) as labelled_at,
    labelled_at is null as is_labelled_at_imputed
from read_parquet($candidates) as candidates
where len(reasons) = 0
