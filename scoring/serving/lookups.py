"""What the service reads from the lake for people: scores in force, a channel's days, how fresh all is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from feature_repo.errors import BadData
from feature_repo.lake import Lake, quote_name, read_lake
from scoring.explain import explain_score

if TYPE_CHECKING:
    import duckdb

_WORDS: Final = 10
_CHANNELS: Final = Path(__file__).with_name("channels.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Freshness:
    """When the newest comment was first seen (UTC); None if there is none."""

    newest_comment_at: datetime | None


def read_freshness(lake: Lake) -> Freshness:
    """Read how fresh the data are."""
    with read_lake(lake) as connection:
        row = connection.execute("select max(observed_at) from raw.comments").fetchone()
    return Freshness(row[0] if row else None)


def read_comment(lake: Lake, comment_id: str, models: Iterable[str], *, is_explained: bool) -> dict[str, Any]:
    """Read the scores of a comment that are in force, one per model; explained, with its text and words.

    Raises
    ------
    BadData
        If no model has scored it.
    """
    with read_lake(lake) as connection:
        found = [(name, row) for name in models if (row := _read_score(connection, name, comment_id))]
    if not found:
        raise BadData("no comment of this id has a score in force")
    scores = [_build_score(name, row) for name, row in found]
    if is_explained:
        for score in scores:
            told = explain_score(lake, comment_id, score["model"])
            score["text"] = told.text
            score["words"] = [
                {"name": part.name, "kind": part.kind, "weight": part.weight} for part in told.parts[:_WORDS]
            ]
    return {"comment_id": comment_id, "scores": scores}


def _read_score(connection: "duckdb.DuckDBPyConnection", model: str, comment_id: str) -> dict[str, Any] | None:
    table = quote_name(f"scores.{model}_current")
    found = connection.execute(f"select * from {table} where comment_id = ?", [comment_id])  # noqa: S608 - a quoted name
    names = [column[0] for column in found.description]
    row = found.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


def _build_score(model: str, row: Mapping[str, Any]) -> dict[str, Any]:
    left_out = {"comment_id", "text_id"}
    plain = {name: value for name, value in row.items() if not name.startswith("p_") and name not in left_out}
    probabilities = {name.removeprefix("p_"): value for name, value in row.items() if name.startswith("p_")}
    return {"model": model, **plain, "probabilities": probabilities, "text": None, "words": []}


def read_channels(lake: Lake, limit: int) -> dict[str, Any]:
    """Read the channels with the most scored comments, and their titles as last seen."""
    with read_lake(lake) as connection:
        rows = connection.execute(_CHANNELS, {"limit": limit}).fetchall()
    return {"channels": [{"channel_id": id_, "title": title, "comment_count": count} for id_, title, count in rows]}


def read_daily(lake: Lake, channel_id: str, model: str, days: int) -> dict[str, Any]:
    """Read a channel's days with scored comments, at most so many, the earliest first.

    Raises
    ------
    BadData
        If the model has scored none of its comments.
    """
    with read_lake(lake) as connection:
        rows = connection.execute(
            "select published_on, any_value(comment_count), map(list(label), list(label_count)) "
            "from scores.channel_daily where channel_id = ? and model = ? "
            "group by published_on order by published_on desc limit ?",
            [channel_id, model, days],
        ).fetchall()
    if not rows:
        raise BadData(f"{model} has scored no comment of this channel")
    told = [{"published_on": day, "comment_count": count, "labels": labels} for day, count, labels in reversed(rows)]
    return {"channel_id": channel_id, "model": model, "days": told}
