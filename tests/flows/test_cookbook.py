"""The cookbook: each of its statements runs as it stands, and answers, on the lake and where it may on the file."""

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake
from flows.query import read_rows
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.published import locate_published, publish_file
from scoring.score import ScoreOptions, score_owed

MONDAY = datetime(2026, 9, 28, tzinfo=UTC)

pytestmark = pytest.mark.path


@dataclass(frozen=True, slots=True)
class Recipe:
    """One question of the cookbook; some can only be put to the lake."""

    question: str
    sql: str
    needs_lake: bool


def read_recipes() -> list[Recipe]:
    page = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (\d+\. [^\n]+)\n.*?^```sql( lake)?\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [Recipe(question, sql, bool(needs_lake)) for question, needs_lake, sql in found]


RECIPES = read_recipes()


@pytest.fixture(scope="module")
def scored(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The sample, scored on a Monday by both models and published."""
    lake = Lake(shutil.copytree(trained_home, tmp_path_factory.mktemp("cookbook") / "home"))
    for model in ("sentiment", "spam"):
        options = ScoreOptions(engine=LocalEngine(1))
        score_owed(lake, ScoreRequest(model), run_id=f"score-{model}-1", now=MONDAY, options=options)
    publish_file(lake, run_id="score-spam-1")
    return lake


def ask_lake(lake: Lake, sql: str) -> list[dict[str, object]]:
    # The lake of the tests was made seconds ago.
    rows: list[dict[str, object]] = read_rows(
        lake, sql.replace("interval '1 day'", "interval '1 millisecond'")
    ).to_pylist()
    return rows


def test_there_are_ten_questions() -> None:
    assert [recipe.question.split(".")[0] for recipe in RECIPES] == [str(number) for number in range(1, 11)]
    assert [recipe.needs_lake for recipe in RECIPES] == ["*lake*" in recipe.question for recipe in RECIPES]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.question)
def test_a_question_is_answered_alike_by_the_lake_and_by_the_file(scored: Lake, recipe: Recipe) -> None:
    rows = ask_lake(scored, recipe.sql)
    assert rows
    with duckdb.connect(str(locate_published(scored)), read_only=True) as published:
        published.execute("set TimeZone = 'Asia/Kolkata'")  # an analyst's own, which must not matter
        if recipe.needs_lake:
            with pytest.raises(duckdb.Error, match=r"schema \"raw\" does not exist|time travel"):
                published.execute(recipe.sql)
        else:
            assert published.execute(recipe.sql).to_arrow_table().to_pylist() == rows


def test_what_was_said_before_monday_was_nothing(scored: Lake) -> None:
    recipe = next(recipe for recipe in RECIPES if "Monday" in recipe.question)
    assert ask_lake(scored, recipe.sql.replace("2026-09-29", "2026-09-28")) == []
    said = {str(row["label"]): row["comments"] for row in ask_lake(scored, recipe.sql)}
    in_force = ask_lake(scored, "select label, count(*) as comments from scores.sentiment_current group by label")
    assert said == {str(row["label"]): row["comments"] for row in in_force}


def test_the_past_that_is_not_kept_any_more_is_said_to_be_gone(scored: Lake) -> None:
    recipe = next(recipe for recipe in RECIPES if "yesterday" in recipe.question)
    with pytest.raises(BadData, match="No snapshot found at timestamp"):
        read_rows(scored, recipe.sql)


def test_summaries_agree_with_the_scores_in_force(scored: Lake) -> None:
    counted = ask_lake(
        scored,
        "select label, count(*) as comments from scores.sentiment_current "
        "where channel_id is not null and published_at is not null group by label order by label",
    )
    summed = ask_lake(
        scored,
        "select label, sum(label_count)::bigint as comments from scores.channel_daily where model = 'sentiment' "
        "group by label order by label",
    )
    assert summed == counted
