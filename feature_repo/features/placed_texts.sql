-- The texts of a relation like `resolved_texts` with the hours at which the comment enters its channel's windows and
-- leaves them: it enters at the first full hour at which it is both published and known, and leaves each at the first
-- full hour that is the window's length after its publication. So the row at an hour holds only what was known by then,
-- and is a function of the data alone, not of when it is computed.
select
    *,
    ceil_hour(greatest(published_at, observed_at)) as enters_at,
    ceil_hour(published_at + interval 24 hour) as leaves_1d_at,
    ceil_hour(published_at + interval 168 hour) as leaves_7d_at,
    ceil_hour(published_at + interval 720 hour) as leaves_30d_at
from ($texts)
