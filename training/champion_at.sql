-- Who was champion of a model at an instant: the latest promotion or rollback up to it; no row before the first.
select
    champion_after as champion,
    decided_at as since,
    reasons
from ops.promotions
where
    model = $model
    and action in ('promoted', 'rolled_back')
    and decided_at <= $instant
order by decided_at desc
limit 1
