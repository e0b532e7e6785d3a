-- The newest verdict of a training run on a version, against the champion there is now; any, if it is champion itself.
select runs.details
from ops.promotions as promotions
inner join ops.runs as runs -- one run to one verdict
    on
        runs.run_id = promotions.run_id
        and runs.kind = 'train'
where
    promotions.model = $model
    and promotions.version = $version
    and (
        promotions.version is not distinct from $champion
        or promotions.champion_before is not distinct from $champion
    )
order by promotions.decided_at desc
limit 1
