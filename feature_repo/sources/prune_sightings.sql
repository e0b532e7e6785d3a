-- Forget sightings of texts that are gone, and all but the newest of a text and source.
delete from raw.sightings as sightings
where not exists (
    from raw.comments as comments
    where comments.comment_id = sightings.comment_id
        and comments.text_id = sightings.text_id
        and comments.text is not null
)
or exists (
    from raw.sightings as later
    where later.comment_id = sightings.comment_id
        and later.text_id = sightings.text_id
        and later.source = sightings.source
        and later.observed_at > sightings.observed_at
)
