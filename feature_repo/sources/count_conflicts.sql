-- Arrivals whose key is taken by other values; each joins at most one stored row.
select count(*)
from arrivals
join {table} as stored using ({key})
where row({arriving}) is distinct from row({stored})
    and ({is_told})
