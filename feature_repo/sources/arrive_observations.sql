-- The good videos or channels of the batch, with the instant of observation: as told, else when published,
-- else now; all but the first are imputed.
create or replace temp table arrivals as
select
    * exclude (observed_at, is_observed_at_imputed, reasons, payload),
    coalesce({told_instants}, $now) as observed_at,
    observed_at is null or coalesce(is_observed_at_imputed, false) as is_observed_at_imputed
from read_parquet($candidates) as candidates
where len(reasons) = 0
