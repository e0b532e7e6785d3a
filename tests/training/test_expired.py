"""A training set that held texts which have expired since says so when it is rebuilt."""

import logging
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.ledger import read_materialized_version
from feature_repo.sources.retention import expire_texts
from flows.sample import Sample
from flows.train import build_report
from training.dataset import TrainingSet, build_training_set
from training.spec import read_spec
from training.train import train_model

NOW = Sample(comments=3_000, days=21).start_at + timedelta(days=21)
DAYS = 18
SPEC = read_spec("sentiment")

pytestmark = pytest.mark.path


@dataclass(frozen=True)
class Rebuilt:
    """A lake in which the texts of the first three days have expired, and a training set before and after."""

    lake: Lake
    then: TrainingSet
    now: TrainingSet
    logged: str


def build(lake: Lake) -> TrainingSet:
    with read_lake(lake) as connection:
        data_version = read_materialized_version(connection)
    return build_training_set(lake, SPEC, data_version=data_version, as_of=NOW)


def read_sighted(lake: Lake) -> list[str]:
    """Comments that were seen again within the retention."""
    with read_lake(lake) as connection:
        sql = "select comment_id from raw.sightings where observed_at > ?"
        return [name for (name,) in connection.execute(sql, [NOW - timedelta(days=DAYS)]).fetchall()]


@pytest.fixture(scope="module")
def rebuilt(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Rebuilt:
    lake = Lake(Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("expired") / "home")))
    then = build(lake)
    expire_texts(lake, run_id="expiry", now=NOW, days=DAYS, sources=("sample",))
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("training.dataset").addHandler(handler)
    now = build(lake)
    logging.getLogger("training.dataset").removeHandler(handler)
    return Rebuilt(lake, then, now, "\n".join(lines))


def test_the_rows_that_are_gone_are_named_and_the_others_are_as_they_were(rebuilt: Rebuilt) -> None:
    then, now = rebuilt.then, rebuilt.now
    assert then.expired_ids == ()
    is_gone = pc.is_in(then.table.column("comment_id"), pa.array(now.expired_ids))
    instants = then.table.column("event_timestamp")
    is_old = pc.less_equal(instants, pa.scalar(NOW - timedelta(days=DAYS), instants.type))
    was_seen_again = pc.is_in(then.table.column("comment_id"), pa.array(read_sighted(rebuilt.lake)))
    assert 0 < len(now.expired_ids) < len(then.labels) / 2
    assert is_gone.equals(pc.and_not(is_old, was_seen_again))
    assert now.table.equals(then.table.filter(pc.invert(is_gone)))
    assert now.digest != then.digest
    assert list(now.expired_ids) == sorted(now.expired_ids)
    assert f"model=sentiment data_version={now.data_version} rows_expired={len(now.expired_ids)}" in rebuilt.logged


def test_a_run_that_learned_without_them_says_how_many(rebuilt: Rebuilt, tmp_path: Path) -> None:
    lake = Lake(Path(shutil.copytree(rebuilt.lake.home, tmp_path / "home")))
    receipt = train_model(lake, SPEC, run_id="train", now=NOW, data_version=rebuilt.now.data_version)
    assert (receipt.rows, receipt.rows_expired) == (len(rebuilt.now.labels), len(rebuilt.now.expired_ids))
    assert build_report(receipt).facts["rows left out, their text has expired"] == receipt.rows_expired
    with read_lake(lake) as connection:
        details = "select (details->>'rows_expired')::int from ops.runs where run_id = 'train'"
        assert connection.execute(details).fetchall() == [(receipt.rows_expired,)]


def test_features_that_are_not_there_yet_are_waited_for_as_before(rebuilt: Rebuilt, tmp_path: Path) -> None:
    lake = Lake(Path(shutil.copytree(rebuilt.lake.home, tmp_path / "home")))
    waiting = rebuilt.now.table.column("comment_id")[0].as_py()
    with write_lake(lake, purpose="test") as connection:
        connection.execute("delete from features.comment_features where comment_id = ?", [waiting])
    with pytest.raises(Unavailable, match=f"1 of {len(rebuilt.now.labels)} labelled comments have no token_ids_v1 yet"):
        build(lake)
