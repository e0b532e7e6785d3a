-- Expired texts that their own source has shown again in this batch.
create or replace temporary table returned_texts as
select
    expired.comment_id,
    expired.text_id,
    any_value(candidates.text) as text -- all the same: text_id is their hash
from raw.comments as expired
join raw.sightings as sightings -- one to one: a batch brings at most one sighting of a text
    on sightings.comment_id = expired.comment_id
    and sightings.text_id = expired.text_id
join arrivals -- one to many
    on arrivals.comment_id = expired.comment_id
    and arrivals.text_id = expired.text_id
join read_parquet($candidates) as candidates -- one to one
    on candidates.row = arrivals.row
where expired.text is null
    and expired.source = $source
    and sightings.batch_id = $batch_id
group by expired.comment_id, expired.text_id
