from datetime import UTC, datetime

from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from flows.owed import build_report
from scoring.owed import ScoreRequest, read_owed
from scoring.score import describe_owed

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def record(lake: Lake, *runs: Run) -> None:
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda connection: [append_run(connection, run) for run in runs])


def test_rows_without_features_are_not_owed_and_the_operator_is_told(lake: Lake) -> None:
    record(lake, Run("b1", "ingest", NOW, NOW, data_version=1))
    owed = read_owed(lake, ScoreRequest("spam"))
    assert (owed.rows, owed.data_version, owed.batches_ahead) == (0, 0, 1)
    report = build_report(describe_owed(lake, owed))
    assert report.title == "Nothing owed: spam has scored everything up to data version 0"
    assert report.notes == ("features are behind by 1 data versions: run `scorelake materialize`, then score",)


def test_the_watermark_is_of_the_role_and_of_runs_that_were_done(lake: Lake) -> None:
    score = {"kind": "score", "started_at": NOW, "ended_at": NOW, "model": "spam"}
    record(
        lake,
        Run("b", "ingest", NOW, NOW, data_version=9),
        Run("m", "materialize", NOW, NOW, data_version=9),
        Run("s1", **score, role="production", data_version=4),
        Run("s2", **score, role="production", data_version=7, outcome="failed"),
        Run("s3", **score, role="shadow", data_version=8),
    )
    assert read_owed(lake, ScoreRequest("spam")).watermark == 4
    assert read_owed(lake, ScoreRequest("sentiment")).watermark == 0
