"""Scores to put into a lake as if a run had published them: into the history, and in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from feature_repo.lake import Lake, run_transaction, write_lake
from scoring.summaries import refresh_summaries_of

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Score:
    """One comment's score; `day` and `hour` say when it was written, None never."""

    comment_id: str
    label: str
    channel_id: str | None = "c"
    video_id: str | None = "v"
    day: int | None = 0
    hour: int = 0
    is_abstained: bool = False
    p_positive: float = 0.25
    p_negative: float = 0.25


def append_scores(lake: Lake, model: str, run_id: str, scores: Sequence[Score]) -> None:
    """Publish scores as a run does: the history grows, scores in force are replaced, summaries follow."""
    current = f"scores.{model}_current"

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.register("rows", pa.Table.from_pylist([_build_row(model, run_id, score) for score in scores]))
        connection.execute(f"insert into scores.{model} by name from rows")
        replaced = f"select * from {current} where comment_id in (select comment_id from rows)"
        connection.execute(f"create or replace temporary table replaced as {replaced}")
        connection.execute(f"delete from {current} where comment_id in (select comment_id from rows)")
        connection.execute(f"insert into {current} by name from rows")
        refresh_summaries_of(connection, model, "from replaced union all by name from rows")

    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, work)


def _build_row(model: str, run_id: str, score: Score) -> dict[str, object]:
    rest = 1 - score.p_positive - score.p_negative
    moods = {"p_positive": score.p_positive, "p_negative": score.p_negative, "p_neutral": rest}
    return {
        "comment_id": score.comment_id,
        "text_id": run_id,  # a text of its own: nothing is scored twice
        "channel_id": score.channel_id,
        "video_id": score.video_id,
        "published_at": None if score.day is None else MIDNIGHT + timedelta(days=score.day, hours=score.hour),
        "label": score.label,
        "confidence": 0.5,
        "is_abstained": score.is_abstained,
        "model_version": "1",
        "feature_service": "f",
        "data_version": 1,
        "run_id": run_id,
        "scored_at": MIDNIGHT,
        **(moods if model == "sentiment" else {"p_ham": 0.5, "p_spam": 0.5}),
    }
