"""A team's machines, each in a network namespace: the driver, two of Dask's workers, storage and database.

Cables are pulled in the middle of a scoring run, and nobody is told: packets are lost, as on a broken switch.
"""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.lake import Lake, read_lake
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.score import ScoreOptions, score_owed
from tests.path.estate import WORKERS, Estate, TeamLake, build_estate, wait_for
from training.digest import digest_rows

pytestmark = pytest.mark.path

_CUT_SECONDS = 20
_SCORE = ("score", "spam", "--engine", "dask", "--json")
# A run and its instant are its own; all else is what the model says.
_SCORES = "select comment_id || text_id as id, * exclude (run_id, scored_at) from scores.spam"


def digest_scores(lake: Lake) -> str:
    with read_lake(lake) as connection:
        return digest_rows(connection.execute(_SCORES).to_arrow_table(), key="id")


@pytest.fixture(scope="module")
def estate(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with build_estate(trained_home, tmp_path_factory.mktemp("estate")) as estate:
        yield estate


@pytest.fixture(scope="module")
def scored_here(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the scores that the local engine gives."""
    lake = Lake(Path(shutil.copytree(trained_home, tmp_path_factory.mktemp("local") / "home")))
    options = ScoreOptions(700, LocalEngine(1))
    score_owed(
        lake, ScoreRequest("spam"), run_id="score-spam-1", now=datetime(2026, 10, 1, tzinfo=UTC), options=options
    )
    return digest_scores(lake)


def check_whole(team: TeamLake, scored_here: str) -> None:
    """Each comment is scored, once, as on one machine; nothing else is left."""
    assert digest_scores(team.lake) == scored_here
    assert team.list_strays() == []


def test_two_workers_score_what_one_machine_would(estate: Estate, scored_here: str) -> None:
    team = estate.copy_lake()
    with estate.serve_dask() as scheduler:
        done = estate.run(team, *_SCORE, SCORELAKE_DASK_SCHEDULER=scheduler)
    assert done.process.returncode == 0, done.said
    check_whole(team, scored_here)
    assert team.count_staged() == 0


def test_a_worker_that_is_cut_off_costs_time_and_nothing_else(estate: Estate, scored_here: str) -> None:
    team, lost = estate.copy_lake(), estate.hosts[WORKERS[0]]
    with estate.serve_dask() as scheduler, estate.start(team, *_SCORE, SCORELAKE_DASK_SCHEDULER=scheduler) as run:
        wait_for(lambda: team.count_staged() > 1)
        lost.cut_off()
        try:
            assert run.wait() == 0, run.said
        finally:
            lost.join()
        assert f"tcp://{lost.address}" in estate.scheduler_log.read_text().partition("Worker failed to heartbeat")[2]
    check_whole(team, scored_here)


def test_a_database_that_is_cut_off_for_a_while_is_waited_for(estate: Estate, scored_here: str) -> None:
    team, database = estate.copy_lake(), estate.hosts["database"]
    settings = {"SCORELAKE_RETRIES": "3"}  # as a deployment's
    with (
        estate.serve_dask() as scheduler,
        estate.start(team, *_SCORE, SCORELAKE_DASK_SCHEDULER=scheduler, **settings) as run,
    ):
        wait_for(lambda: team.count_staged() > 1)
        database.cut_off()
        try:
            time.sleep(_CUT_SECONDS)
            assert run.process.poll() is None, run.said
        finally:
            database.join()
        assert run.wait() == 0, run.said
    check_whole(team, scored_here)


def test_a_database_that_is_not_waited_for_ends_the_run_and_the_next_one_finishes_it(
    estate: Estate, scored_here: str
) -> None:
    team, database = estate.copy_lake(patience="?connect_timeout=2&tcp_user_timeout=3000"), estate.hosts["database"]
    with estate.serve_dask() as scheduler:
        with estate.start(team, *_SCORE, SCORELAKE_DASK_SCHEDULER=scheduler) as run:
            wait_for(lambda: team.count_staged() > 1)
            database.cut_off()
            try:
                time.sleep(_CUT_SECONDS)
            finally:
                database.join()
            assert run.wait() == 4, run.said
        assert "Traceback" not in run.said
        with read_lake(team.lake) as connection:
            assert connection.execute("select count(*) from scores.spam").fetchall() == [(0,)]
        assert team.list_strays() == []
        again = estate.run(team, *_SCORE, SCORELAKE_DASK_SCHEDULER=scheduler)
    assert again.process.returncode == 0, again.said
    check_whole(team, scored_here)
