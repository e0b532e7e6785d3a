-- The data version from which the shadow $version goes on; where it was never one, from before production's newest run.
select
    coalesce(
        max(data_version) filter (role = 'shadow' and model_version = $version and watermark_from is not null),
        arg_max(watermark_from, data_version) filter (role = 'production')
    )
from ops.runs
where kind = 'score' and outcome = 'done' and model = $model
