-- The scores that run $run_id gave.
create or replace temporary table touched as
select *
from {history}
where run_id = $run_id
