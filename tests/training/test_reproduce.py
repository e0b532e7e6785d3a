"""A version is rebuilt to the last bit after everything that can happen to a lake, and differences are named."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from feature_repo.errors import BadData
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.retrieval import describe_service, open_store
from feature_repo.sources.retention import expire_texts
from flows.reproduce import NotReproduced, build_report
from flows.sample import Sample
from tests.flows.commands import run_command
from tests.training.later_rows import add_later_rows, count_rows, keep_up, move
from training.dataset import read_labelled_rows
from training.digest import digest_each_row
from training.registry import resolve
from training.reproduce import ReproduceReceipt, reproduce_version
from training.spec import read_spec

NOW = datetime(2027, 1, 1, tzinfo=UTC)
TRAINED_AT = Sample(comments=3_000, days=21).start_at + timedelta(days=21)
METRICS = {"accuracy", "macro_f1", "log_loss", "brier", "ece"}

pytestmark = pytest.mark.path


def copy(home: Path, target: Path) -> Lake:
    shutil.copytree(home, target)
    return Lake(target)


@pytest.fixture
def lake(trained_home: Path, tmp_path: Path) -> Lake:
    return copy(trained_home, tmp_path / "home")


def reproduce(lake: Lake, model: str = "sentiment", version: str = "champion", **options: bool) -> ReproduceReceipt:
    return reproduce_version(lake, read_spec(model), version, run_id=f"reproduce-{model}", now=NOW, **options)


def name_changed_definitions(receipt: ReproduceReceipt) -> set[str]:
    """Whoever works on the code while the tests run changes the code and the commit; not these."""
    return {one.name for one in receipt.comparisons if not one.is_same} & {"spec", "feature service", "lock file"}


def write(lake: Lake, statement: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(statement)


def read_labelled(lake: Lake, count: int) -> list[str]:
    with read_lake(lake) as connection:
        sql = "select distinct comment_id from raw.labels where task = 'sentiment' order by 1 limit ?"
        return [name for (name,) in connection.execute(sql, [count]).fetchall()]


def read_table(lake: Lake, data_version: int) -> pa.Table:
    """The rows of the training set of then, as of a data version; labels are left out."""
    spec = read_spec("sentiment")
    service = describe_service(lake, spec.feature_service)
    found = read_labelled_rows(lake, spec, service, data_version=data_version, as_of=TRAINED_AT).table
    return found.drop_columns(["label", "labelled_at", "ingest_seq", "resolved_seq"])


def test_it_is_the_same_after_later_rows_corrections_a_compaction_and_a_move(lake: Lake, tmp_path: Path) -> None:
    before = count_rows(lake)
    add_later_rows(lake, 3_000, NOW)
    assert count_rows(lake)["comments"] > before["comments"] + 3_000
    assert all(count > before[name] for name, count in count_rows(lake).items())
    then, today = read_table(lake, int(resolve(lake, "sentiment").descriptor["data_version"])), read_table(lake, 10**6)
    known = today.filter(pc.is_in(today.column("comment_id"), then.column("comment_id").combine_chunks()))
    changed = set(digest_each_row(then)) - set(digest_each_row(known))
    assert len(changed) > 1_000, "read without its data version, the set would have other features"
    assert keep_up(lake, datetime.now(UTC) + timedelta(days=1)) > 0, "DuckLake dates its snapshots by its own clock"
    moved = move(lake, tmp_path / "elsewhere" / "mlflow" / "artifacts")
    for model in ("sentiment", "spam"):
        receipt = reproduce(moved, model)
        assert receipt.differing == (), build_report(receipt)
        outcomes = {one.name: one for one in receipt.comparisons if one.is_outcome}
        assert outcomes.keys() >= METRICS | {
            "rows",
            "digest of the data",
            "settings chosen",
            "digest of the fitted parameters",
            "digest of the judged probabilities",
            f"what the registered file says of {receipt.rows.kept:,} unchanged rows",
        }
        assert all(one.recorded == one.now for one in outcomes.values())
        assert receipt.rows.kept == receipt.rows.found > 1_000
        assert receipt.rows.changes == {}


def test_quick_fits_nothing_and_asks_the_registered_file(lake: Lake) -> None:
    receipt = reproduce(lake, is_quick=True)
    assert receipt.differing == ()
    assert "fit" not in receipt.stage_seconds
    names = [one.name for one in receipt.comparisons if one.is_outcome]
    assert names == [
        "rows",
        "digest of the data",
        f"what the registered file says of {receipt.rows.kept:,} unchanged rows",
    ]


def test_rows_that_are_gone_are_listed_with_why(lake: Lake) -> None:
    erased, unlabelled, altered = read_labelled(lake, 3)
    write(lake, f"delete from raw.comments where comment_id = '{erased}'")
    write(lake, f"delete from raw.labels where comment_id = '{unlabelled}' and task = 'sentiment'")
    write(
        lake,
        f"update raw.labels set label = case label when 'neutral' then 'negative' else 'neutral' end "
        f"where comment_id = '{altered}' and task = 'sentiment'",
    )
    receipt = reproduce(lake)
    assert receipt.rows.changes["comment erased, or its batch taken back"] == (erased,)
    assert receipt.rows.changes["label erased, or its batch taken back"] == (unlabelled,)
    assert receipt.rows.changes["says something else"] == (altered,)
    assert receipt.rows.found == receipt.rows.kept - 2
    assert receipt.differing[:2] == (
        "rows: comment erased, or its batch taken back",
        "rows: label erased, or its batch taken back",
    )
    assert "digest of the data" in receipt.differing
    same = [one for one in receipt.comparisons if one.name.startswith("what the registered file says")]
    assert all(one.is_same for one in same), "of the rows that are left it says what it said"
    assert any(erased in str(grid.rows) for grid in build_report(receipt).grids)
    with read_lake(lake) as connection:
        sql = "select outcome, model_version, details from ops.runs where run_id = 'reproduce-sentiment'"
        ((outcome, version, details),) = connection.execute(sql).fetchall()
    assert (outcome, version) == ("refused", "1")
    assert json.loads(details)["rows"]["label erased, or its batch taken back"] == 1


def test_rows_whose_text_has_expired_are_listed_even_if_too_few_are_left_to_fit(lake: Lake) -> None:
    expire_texts(lake, run_id="some", now=TRAINED_AT, days=18, sources=("sample",))
    some = reproduce(lake)
    assert 0 < len(some.rows.changes["text expired"]) < some.rows.kept / 2
    assert "digest of the fitted parameters" in some.differing
    expire_texts(lake, run_id="all", now=NOW, days=1, sources=("sample",))
    all_gone = reproduce(lake)
    assert len(all_gone.rows.changes["text expired"]) == all_gone.rows.kept
    assert all_gone.rows.found == 0
    assert any(note.startswith("not fitted again: sentiment needs 200") for note in all_gone.notes)


def test_a_recipe_that_was_changed_is_put_back_and_a_changed_spec_named(lake: Lake) -> None:
    spec = read_spec("sentiment")
    changed = replace(spec, recipe=spec.recipe.change({"C": 1e-6}), held_out_share=0.5, abstain_below=0.9)
    receipt = reproduce_version(lake, changed, "1", run_id="r", now=NOW)
    assert receipt.differing == ()
    assert "the spec has held_out_share 0.5, recorded was 0.2" in receipt.notes
    assert name_changed_definitions(receipt) == {"spec"}


def test_a_pipeline_that_is_built_otherwise_gives_a_difference_that_is_named(lake: Lake) -> None:
    spec = read_spec("sentiment")

    def build_pipeline() -> object:
        return spec.build_pipeline().set_params(seen__threshold=1e-5)

    receipt = reproduce_version(lake, replace(spec, build_pipeline=build_pipeline), "1", run_id="r", now=NOW)
    assert "digest of the fitted parameters" in receipt.differing
    assert "digest of the data" not in receipt.differing
    assert any("judged rows have other probabilities, by up to" in note for note in receipt.notes)


def test_a_service_that_was_changed_is_named_and_the_recorded_features_are_asked_for(lake: Lake) -> None:
    from feast import FeatureService, FeatureStore  # noqa: PLC0415 - takes seconds

    store: FeatureStore = open_store(lake)
    views = store.get_feature_service("sentiment_v1").feature_view_projections
    fewer = [store.get_feature_view(one.name)[[field.name for field in one.features[1:]]] for one in views]
    gone = views[0].features[0].name
    store.apply([FeatureService(name="sentiment_v1", features=fewer)])
    receipt = reproduce(lake)
    assert receipt.differing == (), "the views have every feature still"
    assert f"feature service sentiment_v1: {views[0].name}.{gone} is gone" in receipt.notes
    assert name_changed_definitions(receipt) == {"feature service"}
    store.delete_feature_service("sentiment_v1")
    receipt = reproduce(lake, is_quick=True)
    assert receipt.differing == ()
    assert "there is no feature service sentiment_v1 any more; its views were asked" in receipt.notes


def test_a_version_that_is_not_there_or_was_altered_is_bad_input(lake: Lake) -> None:
    with pytest.raises(BadData, match=r"sentiment.*9.*not found"):
        reproduce(lake, version="9")
    rows = resolve(lake, "sentiment").path.with_name("spine.parquet")
    rows.write_bytes(rows.read_bytes() + b"x")
    with pytest.raises(BadData, match=r"spine\.parquet is not the one that was registered"):
        reproduce(lake)


def test_the_command_shows_recorded_and_now_and_ends_with_exit_code_3_if_they_differ(
    lake: Lake, prefect_environment: dict[str, str]
) -> None:
    environment = {**prefect_environment, "SCORELAKE_HOME": str(lake.home)}
    same = run_command("reproduce", "spam", "1", "--quick", environment=environment)
    assert same.returncode == 0, same.stderr
    assert "spam version 1: identical" in same.stdout
    assert "digest of the data" in same.stdout
    (name,) = read_labelled(lake, 1)
    write(lake, f"delete from raw.comments where comment_id = '{name}'")
    other = run_command("reproduce", "sentiment", "--quick", "--json", environment=environment)
    assert other.returncode == 3, other.stderr
    assert json.loads(other.stdout)["rows"]["changes"] == {"comment erased, or its batch taken back": [name]}
    assert "sentiment version 1 is not reproduced" in " ".join(other.stderr.split())
    assert "Traceback" not in other.stderr


def test_what_differs_is_an_error_of_its_own(lake: Lake) -> None:
    (name,) = read_labelled(lake, 1)
    write(lake, f"delete from raw.comments where comment_id = '{name}'")
    receipt = reproduce(lake, is_quick=True)
    assert NotReproduced(receipt).exit_code == 3
    assert "rows: comment erased" in str(NotReproduced(receipt))
