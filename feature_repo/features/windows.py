"""Windows over a channel's comments: in which hours they change, and the query for the rows of those hours.

What a window holds stands in `channel_windows.sql`, when a comment is in it in `placed_texts.sql`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from feature_repo.features.statements import Literals, build_statement, create_table, read_instants
from feature_repo.tables.features import CHANNEL_FEATURES, WINDOW_DAYS

if TYPE_CHECKING:
    import duckdb

_SUMS: Final = ("comments", "authors", "likes", "replies", "capitals", "urls")


def build_changed(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    """The query for the rows of features.channel_features that change.

    By the batches `above` to `upto`, and by the time that has passed after `since`, up to `until`. Needs what
    `place_texts` makes, and the view comment_features_now.
    """
    counted = read_instants(
        connection,
        "select coalesce(min(observed_at), timestamptz 'infinity') - interval '30 day 1 hour' as counted_from "  # noqa: S608 - our numbers
        "from raw.comment_counts where not is_observed_at_imputed "
        f"and ingest_seq > {bounds['above']} and ingest_seq <= {bounds['upto']}",
    )
    create_table(connection, "changed_hours", build_statement("changed_hours", bounds | counted))
    return _build_query(connection, bounds)


def build_anew(connection: "duckdb.DuckDBPyConnection", channel_ids: Sequence[str], bounds: Literals) -> str:
    """The query for all rows of some channels up to `until`; needs what `build_changed` needs."""
    connection.execute(
        "create or replace temporary table changed_hours as select unnest($channel_ids::varchar[]) as channel_id, "
        f"timestamptz '-infinity' as from_at, {bounds['until']} as to_at",
        {"channel_ids": list(channel_ids)},
    )
    return _build_query(connection, bounds)


def _build_query(connection: "duckdb.DuckDBPyConnection", bounds: Literals) -> str:
    create_table(connection, "changed_ranges", build_statement("changed_ranges", {}))
    reach = read_instants(
        connection,
        "select coalesce(min(from_at), timestamptz 'infinity') as hours_from, "
        "coalesce(min(from_at), timestamptz 'infinity') - interval '30 day 1 hour' as published_from, "
        "coalesce(max(to_at), timestamptz '-infinity') as hours_to from changed_ranges",
    )
    create_table(connection, "window_texts", build_statement("window_texts", bounds | reach))
    texts = read_instants(
        connection,
        "select coalesce(min(observed_at), timestamptz 'infinity') as texts_from, "
        "coalesce(min(published_at), timestamptz 'infinity') as counts_from from window_texts",
    )
    return build_statement("channel_windows", bounds | reach | texts, pivot=_build_pivot(), columns=_build_columns())


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
_COMMENTS: Final = "(numbered.comments_{days}d + coalesce(befores.comment_count_{days}d, 0))"
_CAPITALS: Final = "round(befores.capital_share_{days}d * 1e6 * befores.comment_count_{days}d)"
_URLS: Final = "round(befores.url_share_{days}d * befores.comment_count_{days}d)"
_COLUMNS: Final = {
    "comment_count": f"{_COMMENTS}::bigint",
    "author_count": "(numbered.authors_{days}d + coalesce(befores.author_count_{days}d, 0))::bigint",
    "like_count": "(numbered.likes_{days}d + coalesce(befores.like_count_{days}d, 0))::bigint",
    "reply_count": "(numbered.replies_{days}d + coalesce(befores.reply_count_{days}d, 0))::bigint",
    "capital_share": f"(numbered.capitals_{{days}}d + coalesce({_CAPITALS}, 0)) / 1e6 / nullif({_COMMENTS}, 0)",
    "url_share": f"(numbered.urls_{{days}}d + coalesce({_URLS}, 0)) / nullif({_COMMENTS}, 0)",
}
