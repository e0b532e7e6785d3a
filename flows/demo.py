"""The whole road on generated comments: some quiet weeks, a drifting one, and a candidate the gate refuses.

It calls the very flows that deployments call, with simulated instants. Nothing here is special to the demo
but the story and the files.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from feature_repo.errors import Refused
from feature_repo.lake import Lake, read_lake
from flows.ingest import Kind, ingest
from flows.materialize import materialize
from flows.monitor import monitor
from flows.monitor import summarize as summarize_drift
from flows.report import Grid, Report
from flows.sample import DayFiles, Sample, SampleFiles, write_sample
from flows.score import score
from flows.settings import Settings
from flows.train import summarize, train

Say = Callable[[str], None]
_MODELS: Final = ("sentiment", "spam")
_SOURCE: Final = "demo"
_DRIFT_DAYS: Final = 7
_DAYS_PER_RUN: Final = 2  # each run costs seconds, and every other evening tells the same story


@dataclass(frozen=True, slots=True)
class DemoReceipt:
    """What the demo ended with: scores by model and label, and one scored comment with its lineage."""

    home: str
    scored: tuple[tuple[str, str, int, float], ...]
    lineage: dict[str, str]
    quarantined: int
    malformed: int


def prepare_demo(settings: Settings, sample: Sample, say: Say) -> SampleFiles:
    """Begin the lake anew and write the sample beside it; needs no Prefect.

    Raises `Refused` if the lake holds anything but an earlier demo.
    """
    _begin_anew(settings)
    say(f"generating {sample.comments:,} comments over {sample.days} days, seed {sample.seed}")
    files = write_sample(sample, settings.home / "sample")
    import feature_repo.definitions  # noqa: F401, PLC0415 - loads Feast while the server starts

    return files


def run_demo(settings: Settings, files: SampleFiles, say: Say) -> DemoReceipt:
    """Walk the whole road on a sample; `say` is told each step in a line."""
    quiet, drifting = files.days[:-_DRIFT_DAYS], files.days[-_DRIFT_DAYS:]
    _walk_quiet_weeks(quiet, say)
    _walk_drifting_week(drifting, say)
    return _build_receipt(settings.lake, files)


def _begin_anew(settings: Settings) -> None:
    lake = settings.lake
    if lake.is_shared and lake.catalog.exists():
        raise Refused(f"there is a lake at {lake.catalog.describe()}; the demo begins anew, and leaves a team's alone")
    if lake.catalog.exists():
        with read_lake(lake) as connection:
            rows = connection.execute(
                "select distinct source from raw.comments where source <> ?", [_SOURCE]
            ).fetchall()
        if rows:
            raise Refused(
                f"the lake at {lake.home} holds comments of {', '.join(sorted(row[0] for row in rows))}; the demo "
                "begins anew and would lose them. Set SCORELAKE_HOME to another folder."
            )
    for name in ("lake", "staging", "feast", "mlflow", "published", "reports", "sample"):
        shutil.rmtree(settings.home / name, ignore_errors=True)


def _walk_quiet_weeks(days: tuple[DayFiles, ...], say: Say) -> None:
    now = _end_of(days[-1])
    _ingest("channels", [day.channels for day in days], now)
    _ingest("videos", [day.videos for day in days], now)
    receipt = _ingest("comments", [day.comments for day in days], now)
    _ingest("labels", [day.sentiment_labels for day in days], now, task_name="sentiment")
    _ingest("labels", [day.spam_labels for day in days], now, task_name="spam")
    say(f"{len(days)} quiet days: {receipt}")
    rows = materialize(now).rows
    say("features: " + ", ".join(f"{count:,} rows of {table.split('.')[1]}" for table, count in rows.items()))
    for model in _MODELS:
        trained = train(model, now=now)
        say(f"{model}: {summarize(trained)}")
        say(f"{model}: {score(model, now=now).rows_scored:,} comments scored")
    say(f"watching: {_watch(now)}")


def _walk_drifting_week(days: tuple[DayFiles, ...], say: Say) -> None:
    for since in range(0, len(days), _DAYS_PER_RUN):
        some = days[since : since + _DAYS_PER_RUN]
        now = _end_of(some[-1])
        receipt = _ingest("comments", [day.comments for day in some], now)
        materialize(now)
        until = f" to {some[-1].day:%d %b}" if len(some) > 1 else ""
        say(f"{some[0].day:%d %b}{until}: {receipt}; {score('sentiment', now=now).rows_scored:,} scored by sentiment")
    say(f"spam, once for the whole week: {score('spam', now=now).rows_scored:,} comments scored")
    say(f"watching: {_watch(now)}")
    worse = train("sentiment", candidate={"C": 1e-6}, now=now)
    say(f"a worse candidate: {summarize(worse)}")


def _ingest(kind: Kind, paths: list[Path], now: datetime, task_name: str | None = None) -> str:
    receipt = ingest(kind, [str(path) for path in paths], source=_SOURCE, task_name=task_name, now=now)
    return (
        f"{receipt.rows_read:,} rows read, {receipt.rows_accepted:,} accepted, {receipt.rows_known:,} known, "
        f"{receipt.rows_quarantined_total:,} quarantined"
    )


def _watch(now: datetime) -> str:
    receipt = monitor("sentiment", now=now)
    drifted = receipt.drift.drifted()
    return f"{summarize_drift(receipt)}; {len(drifted)} of {len(receipt.drift.checks)} checks drifted" + (
        f": {', '.join(drifted[:6])}" if drifted else ""
    )


def _end_of(day: DayFiles) -> datetime:
    return datetime.combine(day.day, datetime.min.time(), UTC) + timedelta(days=1)


def _build_receipt(lake: Lake, files: SampleFiles) -> DemoReceipt:
    with read_lake(lake) as connection:
        scored = [
            row
            for model in _MODELS
            for row in connection.execute(
                f"select '{model}', label, count(*), avg(confidence) from scores.{model}_current "  # noqa: S608
                "group by label order by label"
            ).fetchall()
        ]
        one = connection.execute(
            "select s.*, c.text from scores.sentiment_current as s "
            "inner join raw.comments as c using (comment_id, text_id) "
            "where not s.is_abstained and length(c.text) between 40 and 100 "
            "order by s.confidence desc, s.comment_id limit 1"
        )
        names = [column[0] for column in one.description]
        row = one.fetchone() or ()
        quarantined = connection.execute("select count(*) from raw.quarantine where kind = 'comments'").fetchone()
    lineage = {name: str(value) for name, value in zip(names, row, strict=True)}
    return DemoReceipt(str(lake.home), tuple(scored), lineage, quarantined[0] if quarantined else 0, files.malformed)


def build_report(receipt: DemoReceipt) -> Report:
    """Build the demo's last words: scored rows, the lineage of one of them, and what to try next."""
    scored = Grid(("model", "label", "comments", "mean confidence"), receipt.scored, title="scores in force")
    lineage = Grid(("one scored comment", ""), tuple(receipt.lineage.items()))
    notes = (
        f"quarantined: {receipt.quarantined:,} rows, generated malformed: {receipt.malformed:,}",
        "Try next:",
        "  .venv/bin/scorelake status",
        '  .venv/bin/scorelake sql "select label, count(*) from scores.sentiment_current group by label"',
        "  .venv/bin/scorelake quarantine list --limit 5",
    )
    return Report(f"The lake at {receipt.home}", grids=(scored, lineage), notes=notes)
