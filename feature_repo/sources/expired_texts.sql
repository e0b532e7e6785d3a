-- Texts of sources with a retention that no such source has shown since {before}.
create or replace temporary table expired_texts as
select
    comments.comment_id,
    comments.text_id
from raw.comments as comments
where comments.text is not null
    and comments.observed_at <= {before}
    and list_contains($sources, comments.source)
    and not exists (
        from raw.sightings as sightings
        where sightings.comment_id = comments.comment_id
            and sightings.text_id = comments.text_id
            and sightings.observed_at > {before}
            and list_contains($sources, sightings.source)
    )
