"""Windows over a channel's comments: in which hours they change, and the query for the rows of those hours.

What a window holds stands in `channel_windows.sql`, when a comment is in it in `placed_texts.sql`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from feature_repo.features.statements import (
    Literals,
    build_resolved,
    build_statement,
    create_table,
    has_rows,
    read_instants,
    write_instant,
)
from feature_repo.tables.features import CHANNEL_FEATURES, WINDOW_DAYS

if TYPE_CHECKING:
    import duckdb

_MOST_DAYS: Final = 20
_SUMS: Final = ("comments", "authors", "likes", "replies", "capitals", "urls")


def build_changed(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    """The query for the rows of features.channel_features that change.

    By the batches `above` to `upto`, and by the time that has passed after `since`, up to `until`. Needs the relations
    resolved_texts, placed_texts, resolved_videos and moved_videos, and the view comment_features_now.
    """
    create_table(connection, "recounts", build_statement("recounts", bounds))
    recounted = read_instants(
        connection,
        "select coalesce(min(observed_at), timestamptz 'infinity') - interval '30 day 1 hour' as recounted_from "
        "from recounts",
    )
    texts = build_resolved("comment_id", "recounts", bounds | recounted, "published_at > $recounted_from")
    create_table(connection, "batch_hours", build_statement("batch_hours", bounds, recounted_texts=texts))
    moving = read_instants(
        connection,
        f"select least(min(from_at) - interval 1 hour, {bounds['since']}) as moving_from from batch_hours",  # noqa: S608 - our instant
    )
    _create_moving_texts(connection, bounds | moving)
    create_table(connection, "changed_hours", build_statement("changed_hours", bounds))
    return _build_query(connection, bounds)


def build_anew(connection: "duckdb.DuckDBPyConnection", channel_ids: Sequence[str], bounds: Literals) -> str:
    """The query for all rows of some channels up to `until`; needs what `build_changed` needs."""
    _create_moving_texts(connection, bounds | {"moving_from": "timestamptz '-infinity'"})
    connection.execute(
        "create or replace temporary table changed_hours as select unnest($channel_ids::varchar[]) as channel_id, "
        f"timestamptz '-infinity' as from_at, {bounds['until']} as to_at",
        {"channel_ids": list(channel_ids)},
    )
    return _build_query(connection, bounds)


def _create_moving_texts(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> None:
    create_table(connection, "moving_texts", build_statement("moving_texts", bounds))


def _build_query(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    create_table(connection, "changed_ranges", build_statement("changed_ranges", {}))
    reach = read_instants(
        connection,
        "select coalesce(min(from_at), timestamptz 'infinity') as hours_from, "
        "coalesce(min(from_at), timestamptz 'infinity') - interval '30 day 1 hour' as published_from, "
        "coalesce(max(to_at), timestamptz '-infinity') as hours_to from changed_ranges",
    )
    bounds = bounds | reach
    create_table(connection, "hours_before", build_statement("hours_before", bounds))
    _create_window_texts(connection, bounds)
    counts = read_instants(
        connection,
        "select coalesce(min(published_at), timestamptz 'infinity') as counts_from from window_texts",
    )
    features = _build_moving_features(connection, bounds)
    hours = build_statement("window_hours", bounds | counts, pivot=_build_pivot(), moving_features=features)
    create_table(connection, "window_hours", hours)
    silent = build_statement("silent_hours", bounds)
    create_table(
        connection,
        "silent_hours",
        silent if has_rows(connection, "window_hours", "not is_there") else f"{silent} limit 0",
    )
    return build_statement("channel_windows", bounds, columns=_build_columns())


def _create_window_texts(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> None:
    month = "published_at > $published_from and published_at <= $hours_to"
    texts = build_resolved("author_id", "moving_texts", bounds, month)
    create_table(connection, "wanted_comments", build_statement("wanted_comments", bounds, authors_texts=texts))
    texts = build_resolved("comment_id", "wanted_comments", bounds, month)
    texts = build_statement("window_texts", bounds, wanted_texts=texts)
    create_table(connection, "window_texts", build_statement("placed_texts", {}, texts=texts))


def _build_moving_features(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    """The comment features of the days on which something comes or goes: a query per day, as files are left out so."""
    days = connection.execute(build_statement("moving_days", bounds)).fetchall()
    if not 0 < len(days) <= _MOST_DAYS:
        return f"from comment_features_now where {len(days)} > 0"
    return " union all ".join(
        f"from comment_features_now where event_timestamp between {write_instant(first)} and {write_instant(last)}"
        for first, last in days
    )


def _build_pivot() -> str:
    return ",\n".join(
        f"        coalesce(sum(sum({name}) filter (where days = {days})) over hours, 0) as {name}_{days}d"
        for days in WINDOW_DAYS
        for name in _SUMS
    )


def _build_columns() -> str:
    """How the sums make the columns of the table, in its order: what was before, and what has changed since."""
    made = {
        f"{name}_{days}d": expression.format(days=days) for days in WINDOW_DAYS for name, expression in _COLUMNS.items()
    }
    names = [name for name in CHANNEL_FEATURES.columns if name in made]
    return "\n".join(f"        {made[name]} as {name}," for name in names)


# A count and a share of it before give back the whole number that was shared out: it is far below 2^53.
_COMMENTS: Final = "(window_hours.comments_{days}d + coalesce(hours_before.comment_count_{days}d, 0))"
_CAPITALS: Final = "round(hours_before.capital_share_{days}d * 1e6 * hours_before.comment_count_{days}d)"
_URLS: Final = "round(hours_before.url_share_{days}d * hours_before.comment_count_{days}d)"
_COLUMNS: Final = {
    "comment_count": f"{_COMMENTS}::bigint",
    "author_count": "(window_hours.authors_{days}d + coalesce(hours_before.author_count_{days}d, 0))::bigint",
    "like_count": "(window_hours.likes_{days}d + coalesce(hours_before.like_count_{days}d, 0))::bigint",
    "reply_count": "(window_hours.replies_{days}d + coalesce(hours_before.reply_count_{days}d, 0))::bigint",
    "capital_share": f"(window_hours.capitals_{{days}}d + coalesce({_CAPITALS}, 0)) / 1e6 / nullif({_COMMENTS}, 0)",
    "url_share": f"(window_hours.urls_{{days}}d + coalesce({_URLS}, 0)) / nullif({_COMMENTS}, 0)",
}
