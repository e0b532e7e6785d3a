"""The same plan on a Dask cluster, of real processes on loopback: the same rows, also when a worker dies."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake
from scoring.dask_engine import DaskEngine
from scoring.engine import Engine, LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from training.digest import digest_rows

NOW = datetime(2026, 10, 1, tzinfo=UTC)

pytestmark = pytest.mark.path


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with start_cluster(2) as cluster:
        yield cluster


def start_cluster(workers: int) -> LocalCluster:
    return LocalCluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")


def copy_lake(trained_home: Path, folder: Path) -> Lake:
    return Lake(Path(shutil.copytree(trained_home, folder)))


def score(lake: Lake, options: ScoreOptions) -> None:
    score_owed(lake, ScoreRequest("spam"), run_id="score-spam-1", now=NOW, options=options)


def digest_scores(lake: Lake) -> str:
    with read_lake(lake) as connection:
        scores = connection.execute("select comment_id || text_id as id, * from scores.spam").to_arrow_table()
    return digest_rows(scores, key="id")


@pytest.fixture(scope="module")
def scored_here(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the scores that this machine's processes give."""
    lake = copy_lake(trained_home, tmp_path_factory.mktemp("local") / "home")
    score(lake, ScoreOptions(700, LocalEngine(1)))
    return digest_scores(lake)


@pytest.mark.parametrize("is_shared", [True, False], ids=["a cluster", "a cluster of one's own"])
def test_a_cluster_gives_the_rows_of_one_machine(
    trained_home: Path, tmp_path: Path, cluster: LocalCluster, scored_here: str, *, is_shared: bool
) -> None:
    lake = copy_lake(trained_home, tmp_path / "home")
    engine: Engine = DaskEngine(cluster.scheduler_address if is_shared else None)
    score(lake, ScoreOptions(700, engine))
    assert digest_scores(lake) == scored_here


def test_a_worker_that_dies_costs_its_partition_and_nothing_else(
    trained_home: Path, tmp_path: Path, cluster: LocalCluster, scored_here: str
) -> None:
    lake, killed = copy_lake(trained_home, tmp_path / "home"), []
    with Client(cluster) as client:
        processes = list(client.run(os.getpid).values())

    def kill_one(_done: int, _total: int) -> None:
        if not killed:
            killed.append(processes[0])
            os.kill(processes[0], signal.SIGKILL)

    options = ScoreOptions(200, DaskEngine(cluster.scheduler_address))
    score(lake, replace(options, on_progress=kill_one))
    assert killed
    assert digest_scores(lake) == scored_here
    assert list(lake.staging.glob("*")) == []


def test_a_scheduler_that_does_not_answer_is_named(trained_home: Path, tmp_path: Path) -> None:
    lake = copy_lake(trained_home, tmp_path / "home")
    engine = DaskEngine("tcp://127.0.0.1:1", patience_seconds=1)
    with pytest.raises(Unavailable, match=r"no Dask scheduler at tcp://127\.0\.0\.1:1"):
        score(lake, ScoreOptions(700, engine))
    check_nothing_held(lake)


def test_a_cluster_of_ones_own_has_the_workers_asked_for() -> None:
    with DaskEngine(workers=3).open(10) as executor:
        assert len(executor._client.nthreads()) == 3  # type: ignore[union-attr]


def check_nothing_held(lake: Lake) -> None:
    with read_lake(lake) as connection:
        assert connection.execute("select count(*) from ops.leases").fetchall() == [(0,)]


def test_a_cluster_without_workers_is_not_waited_for_for_ever(trained_home: Path, tmp_path: Path) -> None:
    lake = copy_lake(trained_home, tmp_path / "home")
    with start_cluster(0) as empty:
        engine = DaskEngine(empty.scheduler_address, idle_seconds=1)
        with pytest.raises(Unavailable, match=r"has no workers, or lost its scheduler.*run it again"):
            score(lake, ScoreOptions(700, engine))
    check_nothing_held(lake)


def test_a_scheduler_that_ends_in_the_middle_ends_the_run_and_keeps_what_is_finished(
    trained_home: Path, tmp_path: Path, scored_here: str
) -> None:
    lake = copy_lake(trained_home, tmp_path / "home")
    with start_cluster(1) as own:
        options = ScoreOptions(200, DaskEngine(own.scheduler_address), on_progress=lambda _done, _total: own.close())
        with pytest.raises(Unavailable, match=r"has no workers, or lost its scheduler.*What was finished is kept"):
            score(lake, options)
    check_nothing_held(lake)
    finished = list(lake.staging.rglob("0*.json"))
    assert finished
    score(lake, ScoreOptions(200, LocalEngine(1)))
    assert digest_scores(lake) == scored_here
    assert not any(file.exists() for file in finished)
