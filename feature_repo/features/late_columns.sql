-- Columns of features.comment_features as they are computed today. All rows of a text get the same, also those of an
-- earlier data version: nothing has rested on a column before it was there.
update features.comment_features as features
set $assignments
from ($computed) as computed -- many to one: one row per text is computed
where computed.comment_id = features.comment_id
    and computed.text_id = features.text_id
