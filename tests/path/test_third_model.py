"""The README's "add a model in four steps", walked for a model that asks whether a comment is a question."""

import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.errors import BadData
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from flows.stage import prepare_lake
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from training import specs
from training.spec import list_specs, read_spec
from training.train import train_model

NOW = datetime(2026, 10, 1, tzinfo=UTC)

pytestmark = pytest.mark.path

SPEC = '''
"""Whether a comment asks something."""

from typing import Final

from training.model import build_pipeline
from training.spec import TEXT_SLICES, GateBounds, ModelSpec, Recipe

SPEC: Final = ModelSpec(
    name="question",
    classes=("statement", "question"),
    feature_service="spam_v1",
    build_pipeline=build_pipeline,
    recipe=Recipe({"classes__estimator__C": (1.0,)}),
    gate=GateBounds(min_macro_f1=0.6),
    slices=TEXT_SLICES,
    abstain_below=0.6,
)
'''


@pytest.fixture
def lake(trained_home: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(trained_home, tmp_path / "home"))


def write_labels(lake: Lake, path: Path) -> int:
    """Labels as a person would give them to the comments of known videos; returns how many there are."""
    with read_lake(lake) as connection:
        rows = connection.execute(
            "select comment_id, case when text like '%?%' then 'question' else 'statement' end "
            "from raw.comments where text is not null and video_id is not null"
        ).fetchall()
    labels = dict(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["comment_id", "label", "labelled_at"])
        writer.writerows([comment_id, label, "2026-09-30T00:00:00Z"] for comment_id, label in labels.items())
    return len(labels)


def test_a_third_model_takes_four_steps(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 1. A module under training/specs; here in a folder of its own, which is as good.
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "question.py").write_text(SPEC, encoding="utf-8")
    with pytest.raises(BadData, match="there is no model 'question'; there are sentiment, spam"):
        read_spec("question")
    monkeypatch.setattr(specs, "__path__", [*specs.__path__, str(folder)])
    assert list_specs() == ("question", "sentiment", "spam")

    # 2. Its tables: `scorelake apply`.
    assert prepare_lake(lake) == ("scores.question", "scores.question_current")

    # 3. Its labels: `scorelake ingest labels labels.csv --task question`.
    path = tmp_path / "labels.csv"
    count = write_labels(lake, path)
    request = IngestRequest(
        kind="labels",
        paths=(path,),
        mapping=read_mapping(),
        source="people",
        run_id="labels",
        now=NOW,
        author_key=b"a key for tests",
        task="question",
    )
    assert ingest_files(lake, request).rows_accepted == count
    version = materialize_features(lake, run_id="again", now=NOW).owed.upto

    # 4. `scorelake train question`, `scorelake score question`.
    trained = train_model(lake, read_spec("question"), run_id="train-question", now=NOW, data_version=version)
    assert trained.verdict.is_promoted, trained.verdict.sentences
    options = ScoreOptions(engine=LocalEngine(1))
    scored = score_owed(lake, ScoreRequest("question"), run_id="score-question-1", now=NOW, options=options)
    assert scored.rows_scored == scored.rows_owed > count / 2
    with read_lake(lake) as connection:
        share = connection.execute(
            "select avg(((s.label = 'question') = (c.text like '%?%'))::integer) "
            "from scores.question as s join raw.comments as c using (comment_id, text_id)"
        ).fetchone()
    assert share is not None
    assert share[0] > 0.9
