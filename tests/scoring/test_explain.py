"""An explanation against the model itself: its parts are words of the text, and add up to the decision."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit

from feature_repo.errors import BadData
from feature_repo.features.texts import describe_texts, list_pieces
from feature_repo.lake import Lake, read_lake, write_lake
from flows.explain import build_report
from scoring.engine import LocalEngine
from scoring.explain import explain_score
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from training.contributions import compute_contributions
from training.model import build_pipeline

NOW = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def scored(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("scored") / "home")))
    for model in ("sentiment", "spam"):
        options = ScoreOptions(100_000, LocalEngine(1))
        score_owed(lake, ScoreRequest(model), run_id=f"score-{model}-1", now=NOW, options=options)
    return lake


def test_the_parts_of_a_linear_decision_add_up() -> None:
    rng = np.random.default_rng(0)
    matrix = sparse.random(60, 30, density=0.3, random_state=1, format="csr")
    pipeline = build_pipeline().fit(matrix, rng.integers(0, 3, 60))
    found = compute_contributions(pipeline, matrix[7])
    assert found.columns.tolist() == sorted(matrix[7].indices.tolist())
    assert np.abs(found.rest).max() < 1e-9
    whole = pipeline.decision_function(matrix[7])[0]
    np.testing.assert_allclose(found.base + found.parts.sum(axis=0), whole, atol=1e-9)


@pytest.mark.parametrize(
    "text", ["GREAT video, isn't it? see 3:45 :)", "", "كيف حالك يا صديقي العزيز", "❤️❤️ wonderful!!! wonderful", "a b c"]
)
def test_every_token_of_a_text_has_a_name(text: str) -> None:
    row, pieces = describe_texts([text]).to_pylist()[0], list_pieces(text)
    for column, names in pieces.items():
        assert len(row[column]) == len(names)
        pairs = set(zip(row[column], names, strict=True))
        assert len(pairs) == len(set(names)), "one piece is one token"


@pytest.mark.path
@pytest.mark.parametrize("model", ["sentiment", "spam"])
def test_a_score_is_given_again_and_its_words_are_named(scored: Lake, model: str) -> None:
    with read_lake(scored) as connection:
        found = connection.execute(
            f"select comment_id, confidence from scores.{model}_current order by confidence desc limit 1"
        ).fetchall()
    [(comment_id, confidence)] = found
    told = explain_score(scored, comment_id, model)
    assert told.is_reproduced
    assert told.text
    words = {part.name for part in told.parts if part.kind == "word"}
    assert words
    assert all(name in told.text.lower() for part in words for name in part.split(" / "))
    decision = told.base + sum(part.weight for part in told.parts)
    if model == "spam":  # of two classes, the log-odds are the probability
        assert expit(decision) == pytest.approx(confidence)
    else:
        assert decision > 0
    assert told.lineage["run_id"] == f"score-{model}-1"
    assert told.lineage["version_action"] == "promoted"
    report = build_report(told)
    assert report.title == f"{model}: why {comment_id} is {told.label}"


@pytest.mark.path
def test_a_comment_whose_text_has_expired_keeps_its_lineage(scored: Lake, tmp_path: Path) -> None:
    lake = Lake(Path(shutil.copytree(scored.home, tmp_path / "home")))
    with write_lake(lake, purpose="test") as connection:
        [(comment_id,)] = connection.execute("select min(comment_id) from scores.spam_current").fetchall()
        connection.execute("update raw.comments set text = null where comment_id = ?", [comment_id])
    told = explain_score(lake, comment_id, "spam")
    assert (told.text, told.parts, told.lineage["model_version"]) == (None, (), "1")
    assert "expired" in str(build_report(told).facts["text"])


@pytest.mark.path
def test_a_comment_without_a_score_is_named(scored: Lake) -> None:
    with pytest.raises(BadData, match="spam has no score for the comment 'nobody'"):
        explain_score(scored, "nobody", "spam")
