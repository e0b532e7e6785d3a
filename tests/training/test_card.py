import re
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from training.ablation import AblationPoint
from training.behaviour import BehaviourResult, FailedCase
from training.card import build_card, select_points
from training.coverage import CoveragePoint
from training.learning import LearningPoint
from training.metrics import Estimate
from training.trial import Trial

KNOWN = Estimate(0.7134, 0.7, 0.73)


@pytest.fixture(scope="module")
def examined(trial: Trial) -> Trial:
    """The trial with labels of two sources, after it was asked some texts, for a learning curve and an ablation."""
    failed = FailedCase(("good", "GOOD"), ("positive", "neutral"), (0.7, 0.6))
    behaviours = (
        BehaviourResult("capitals", "invariance", "label stays", 4, 1, (failed,)),
        BehaviourResult("negation", "direction", "positive falls", 9, 9, ()),
    )
    learning = (LearningPoint(0.5, 350, KNOWN, KNOWN), LearningPoint(1.0, 700, KNOWN, KNOWN))
    ablation = (AblationPoint("valences", 0.6543, Estimate(-0.0591, -0.07, -0.05)),)
    table = trial.training_set.table
    table = table.append_column("label_source", pa.array(["crowd"] * 600 + ["import"] * 300))
    table = table.append_column("labeller", pa.array([None] * 600 + ["Ada"] * 300, pa.string()))
    instants = pa.array([datetime(2025, 12, 1, tzinfo=UTC)] * 900, pa.timestamp("us", "UTC"))
    return replace(
        trial,
        training_set=replace(trial.training_set, table=table.append_column("labelled_at", instants)),
        evaluation=replace(trial.evaluation, behaviours=behaviours, learning=learning, ablation=ablation),
    )


def test_the_card_says_what_the_model_is_and_what_for(examined: Trial) -> None:
    card = build_card(examined)
    assert card.startswith("# sentiment\n\nWhether a comment speaks well or badly of what it is about. Classes: ")
    assert "Below a\nconfidence of 0.5 the model abstains" in card
    assert re.findall(r"^##* (.+)$", card, re.MULTILINE) == [
        "sentiment", "Intended use", "Data", "How it was made", "How good it is", "Slices", "When it abstains",
        "Behaviour", "More labels", "Fewer columns", "Limits",
    ]  # fmt: skip


def test_the_card_says_what_was_learned_from(examined: Trial) -> None:
    card, known = build_card(examined), examined.training_set
    assert "| labelled comments | 900 |" in card
    assert f"| learned from | {(~known.is_held_out).sum()} |" in card
    assert "| label sources | crowd 600, import by Ada 300 |" in card
    assert "| labels given | 2025-12-01 |" in card
    assert re.search(r"\| comments first observed \| 2025-10-\d\d to 2025-12-\d\d \|", card)
    assert "| data version, as of | 1, 2026-01-01 00:00 UTC |" in card
    assert "| feature service | `sentiment_v1`, 3 features |" in card
    assert "VarianceThreshold → " in card
    assert "`classes__estimator__C` = " in card


def test_every_figure_stands_beside_its_interval_and_the_baseline(examined: Trial) -> None:
    card, evaluation = build_card(examined), examined.evaluation
    ours, theirs = evaluation.overall.values["macro_f1"], evaluation.baseline.values["macro_f1"]
    assert f"| macro-F1 | {ours.value:.3f} ({ours.low:.3f} to {ours.high:.3f}) | {theirs.value:.3f} |" in card
    assert f"| short text | {evaluation.slices['short text'].rows} | " in card
    assert "| capitals | invariance | label stays | 1 of 4 |" in card
    assert "- capitals: “good” is positive → “GOOD” is neutral" in card
    assert "| 350 | 50% | 0.713 (0.700 to 0.730) | 0.713 (0.700 to 0.730) |" in card
    assert "| valences | 0.654 | -0.059 (-0.070 to -0.050) |" in card


def test_limits_follow_from_the_figures(examined: Trial) -> None:
    evaluation = examined.evaluation
    short, reply = evaluation.slices["short text"], evaluation.slices["reply"]
    worse = replace(short, rows=500, values={**short.values, "macro_f1": Estimate(0.3, 0.25, 0.35)})
    few = replace(reply, rows=7)
    found = replace(examined, evaluation=replace(evaluation, slices={"short text": worse, "reply": few}, later=None))
    limits = build_card(found).split("## Limits\n")[1]

    assert "- Labels are as good as their source (crowd 600, import by Ada 300)." in limits
    assert "- Worse than on the whole, beyond chance: short text (0.30)." in limits
    assert "- Too few judged comments to know: reply (7)." in limits
    assert "- Often not as expected on texts written for the purpose: capitals (1 of 4)." in limits
    assert "- How it ages was not measured; watch its drift." in limits
    assert f"- Its figures rest on {evaluation.overall.groups} groups: intervals from so few are too narrow." in limits


def test_a_card_without_answers_says_so(trial: Trial) -> None:
    card = build_card(replace(trial, evaluation=replace(trial.evaluation, slices={}, later=None)))
    assert "| label sources | not told |" in card
    assert "No behaviour was checked." in card
    assert "No learning curve was drawn." in card
    assert "No column was left out." in card
    assert "How it ages is not known: there are too few later comments" in card
    assert "- No judged comment at all: short text; reply." in card


def test_a_model_that_was_made_to_be_refused_says_so(trial: Trial) -> None:
    shuffled = replace(trial, recipe=trial.recipe.change({"label_shuffle_seed": 1}))
    assert "Its labels were shuffled: it is there to be refused." in build_card(shuffled)


def test_thresholds_that_decide_the_same_are_told_once(trial: Trial) -> None:
    points = tuple(
        CoveragePoint(at, rows, KNOWN, KNOWN, KNOWN) for at, rows in ((0.0, 9), (0.4, 9), (0.6, 5), (0.9, 0))
    )
    decided = CoveragePoint(0.55, 9, KNOWN, KNOWN, KNOWN)
    found = select_points(replace(trial.evaluation, coverage=points, decided=decided))
    assert [one.threshold for one in found] == [0.55, 0.6], "the model's own, rather than another that decides the same"
