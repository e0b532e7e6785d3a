"""Summaries of the scores in force: figures by channel and day, and by video, for each label of a model.

They follow the changes: the groups that a changed comment is in, or was in, are counted anew, and no others. Which
scores are in force is `publish`'s to say.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_repo.lake import quote_name
from feature_repo.tables.scores import CHANNEL_DAILY, VIDEO_SUMMARY

if TYPE_CHECKING:
    import duckdb

_SQL: Final = Path(__file__).with_name("summary.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Summary:
    """A table of figures: the columns that make a group, and what it tells of a group beside the figures.

    Where a group is of a day, `bounds` spare it the files of other days.
    """

    table: str
    key: str
    facts: str = ""
    bounds: str = ""


_SUMMARIES: Final = (
    _Summary(
        str(CHANNEL_DAILY.name),
        "channel_id, published_on",
        bounds="where published_at >= (select min(published_on) from touched_groups) "
        "and published_at < (select max(published_on) + interval 1 day from touched_groups)",
    ),
    _Summary(
        str(VIDEO_SUMMARY.name),
        "video_id",
        "max(channel_id) as channel_id, min(published_at) as first_published_at, "
        "max(published_at) as last_published_at,",
    ),
)


def refresh_summaries_of(connection: "duckdb.DuckDBPyConnection", model: str, changed: str) -> None:
    """Count the groups anew that some scores are in.

    Within the caller's transaction, when the scores in force are as they will be. A model that is in no summary yet is
    counted whole.

    Parameters
    ----------
    changed
        Query of the scores that were put in force, and of those that were taken out.
    """
    for summary in _SUMMARIES:
        _touch_groups(connection, summary, model, changed)
        _delete_touched(connection, summary, model)
        _insert_touched(connection, summary, model)


def rebuild_summaries(connection: "duckdb.DuckDBPyConnection", model: str) -> None:
    """Count every group of a model anew: for when scores have left the history, too, which told what they touched."""
    for summary in _SUMMARIES:
        connection.execute(f"delete from {quote_name(summary.table)} where model = ?", [model])  # noqa: S608 - quoted
    refresh_summaries_of(connection, model, f"from {quote_name(f'scores.{model}_current')}")


def _touch_groups(connection: "duckdb.DuckDBPyConnection", summary: _Summary, model: str, changed: str) -> None:
    """Make the table `touched_groups`: of the changed scores, or of all in force if the summary is new."""
    scores = changed if _has_rows(connection, summary, model) else f"from {quote_name(f'scores.{model}_current')}"
    connection.execute(
        f"create or replace temporary table touched_groups as select distinct {summary.key} "  # noqa: S608 - our names
        f"from (select *, cast(published_at as date) as published_on from ({scores}))"
    )


def _has_rows(connection: "duckdb.DuckDBPyConnection", summary: _Summary, model: str) -> bool:
    sql = f"select 1 from {quote_name(summary.table)} where model = ? limit 1"  # noqa: S608 - a quoted name
    return connection.execute(sql, [model]).fetchone() is not None


def _delete_touched(connection: "duckdb.DuckDBPyConnection", summary: _Summary, model: str) -> None:
    connection.execute(
        f"delete from {quote_name(summary.table)} where model = ? "  # noqa: S608 - our own names
        f"and ({summary.key}) in (select ({summary.key}) from touched_groups)",
        [model],
    )


def _insert_touched(connection: "duckdb.DuckDBPyConnection", summary: _Summary, model: str) -> None:
    """Count the touched groups; one that has no score left gets no row, nor does one with a null in its key."""
    labels = _read_labels(connection, model)
    rows = _build_rows(summary, model, has_mood={"positive", "negative"} <= set(labels))
    values = {"model": model, "labels": labels}
    connection.execute(f"insert into {quote_name(summary.table)} by name {rows}", values)


def _read_labels(connection: "duckdb.DuckDBPyConnection", model: str) -> list[str]:
    """The classes of a model, in their order: those that its table has probabilities of."""
    columns = connection.execute(f"describe {quote_name(f'scores.{model}_current')}").fetchall()
    return [str(name).removeprefix("p_") for name, *_ in columns if name.startswith("p_")]


def _build_rows(summary: _Summary, model: str, *, has_mood: bool) -> str:
    marks = {
        "{current}": quote_name(f"scores.{model}_current"),
        "{key}": summary.key,
        "{facts}": summary.facts,
        "{bounds}": summary.bounds,
        "{mood}": "p_positive - p_negative" if has_mood else "cast(null as double)",
    }
    sql = _SQL
    for mark, text in marks.items():
        sql = sql.replace(mark, text)
    return sql
