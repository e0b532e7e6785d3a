"""A run that failed says what happened and what to do: in its state, its log, the ledger and one alert."""

import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from feature_repo.errors import Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from flows.alerts import resolve_failure
from flows.entry import begin
from flows.erase import erase
from flows.ingest import ingest
from flows.publish import publish
from flows.report import Report
from flows.score import score
from flows.stage import begin_run, stage, tell
from flows.train import train
from scoring.lease import take_lease
from tests.flows.commands import run_command
from tests.flows.prefect_calls import call, wait_for

NOW = datetime(2026, 10, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HEADER = "comment_id,text,channel_id,published_at,observed_at\n"
GOOD = f"{HEADER}Ug1,somebody,c,2026-09-30T00:00:00Z,2026-09-30T00:00:00Z\n"
BAD = f"{HEADER},nobody,c,2026-09-30T00:00:00Z,2026-09-30T00:00:00Z\n"


@pytest.fixture(autouse=True)
def api(lake: Lake, prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Runs are of an empty lake and a real server."""
    monkeypatch.setenv("SCORELAKE_HOME", str(lake.home))
    with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
        yield prefect_environment["PREFECT_API_URL"]


def write_csv(folder: Path, content: str) -> list[str]:
    (folder / "comments.csv").write_text(content)
    return [str(folder / "comments.csv")]


def read_alerts(lake: Lake) -> list[Any]:
    with read_lake(lake) as connection:
        sql = "select key, severity, occurrences, closed_at is not null from ops.alerts order by opened_at"
        return connection.execute(sql).fetchall()


def read_failed(lake: Lake) -> list[Any]:
    with read_lake(lake) as connection:
        sql = "select kind, outcome, details ->> 'error' from ops.runs where outcome <> 'done' order by run_id"
        return connection.execute(sql).fetchall()


def read_errors(api: str, state: State[Any]) -> list[str]:
    """What the UI shows of a run's log as errors, once it has come."""
    wanted = {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}, "level": {"ge_": 40}}
    APILogHandler().flush()
    logs = wait_for("the log of the run", lambda: call(f"{api}/logs/filter", {"logs": wanted}))
    return [one["message"] for one in logs]


@stage("odd", named="odd")
def stumble() -> None:
    """A flow with a mistake in it."""
    with begin_run("odd", now=NOW):
        raise ValueError("could not convert 'the text of a comment'")


@stage("slow", named="slow", seconds=1)
def hang() -> None:
    """A flow that hangs."""
    with begin_run("slow", now=NOW):
        time.sleep(60)


def bring_bad_rows(folder: Path) -> Any:
    return ingest("comments", write_csv(folder, BAD), now=NOW, return_state=True)


def bring_nothing(folder: Path) -> Any:
    return ingest("comments", [str(folder / "gone.csv")], now=NOW, return_state=True)


def train_without_features(folder: Path) -> Any:
    ingest("comments", write_csv(folder, GOOD), now=NOW)
    return train("spam", now=NOW, return_state=True)


@pytest.mark.parametrize(
    ("run", "begins", "ends"),
    [
        (bring_nothing, "BadData: ", ". Correct the input; running it again changes nothing."),
        (
            bring_bad_rows,
            "Refused: 1 of 1 rows are bad (100%), more than the limit: nothing was ingested. See `scorelake quarantine",
            "; the limit is SCORELAKE_BAD_ROW_SHARE_LIMIT. What was in force stays. Look at why, and decide.",
        ),
        (
            train_without_features,
            "Unavailable: features are there up to data version 0 of 1; run `scorelake materialize` first.",
            ". The next run tries again; look if it goes on.",
        ),
        (
            lambda _: stumble(return_state=True),
            "Failed: an error that was not expected, ValueError. Its place is in the log of the run.",
            "Run it again; if it comes again, report it with that log.",
        ),
        (
            lambda _: hang(return_state=True),
            "Unavailable: the run was ended, since it took more than 6 hours; what was finished is kept.",
            ". The next run tries again; look if it goes on.",
        ),
    ],
)
def test_the_state_and_the_log_say_in_their_first_line_what_to_do(
    run: Callable[[Path], State[Any]], begins: str, ends: str, tmp_path: Path, lake: Lake, api: str
) -> None:
    state = run(tmp_path)
    assert state.is_failed()
    told = call(f"{api}/flow_runs/{state.state_details.flow_run_id}")["state"]["message"]
    assert told == state.message
    assert told.startswith(begins)
    assert told.endswith(ends)
    assert "the text of a comment" not in told
    assert read_errors(api, state)[0].splitlines()[0] == told
    ((_, _, kept),) = read_failed(lake)
    assert kept is None or kept.rstrip(".").split(". ")[0] in told, "a batch has its refusal as a run of its own"


@pytest.mark.parametrize(
    ("ending", "why"),
    [(CancelledError(), ", since it took more than 6 hours"), (KeyboardInterrupt(), " by a person")],
)
def test_a_run_that_is_ended_within_a_query_is_told_so(ending: BaseException, why: str, lake: Lake) -> None:
    said = f"the run was ended{why}; what was finished is kept"
    with pytest.raises(Unavailable, match=said), begin_run("slow", now=NOW):
        raise RuntimeError("Query interrupted") from ending
    assert read_alerts(lake) == [("run/slow", "error", 1, False)]


def test_a_failure_before_the_first_step_is_told_once_and_the_next_good_run_ends_it(lake: Lake, tmp_path: Path) -> None:
    files = write_csv(tmp_path, GOOD)
    for hour in range(2):
        assert ingest("comments", files, mapping="gone.toml", now=NOW + hour * HOUR, return_state=True).is_failed()
    assert read_alerts(lake) == [("run/ingest", "error", 2, False)]
    assert [(kind, outcome) for kind, outcome, _ in read_failed(lake)] == [("ingest", "failed")] * 2
    ingest("comments", files, now=NOW + 2 * HOUR)
    assert read_alerts(lake) == [("run/ingest", "error", 2, True)]


def test_a_model_that_does_not_exist_leaves_no_alert_for_ever(lake: Lake) -> None:
    assert score("spma", now=NOW, return_state=True).is_failed()
    assert read_alerts(lake) == [("run/score", "error", 1, False)]
    resolve_failure(begin("score", "spam", NOW + HOUR))
    assert read_alerts(lake) == [("run/score", "error", 1, True)]


def test_what_is_published_by_hand_raises_and_ends_its_alert(lake: Lake) -> None:
    folder = lake.home / "published"
    folder.write_text("in the way")
    with pytest.raises(OSError, match="published"):
        publish()
    assert read_alerts(lake) == [("run/publish", "error", 1, False)]
    folder.unlink()
    publish()
    assert read_alerts(lake) == [("run/publish", "error", 1, True)]


def test_an_erasure_that_could_not_be_is_told_until_one_could(lake: Lake) -> None:
    with write_lake(lake, purpose="test") as connection:
        take_lease(connection, "spam/production", run_id="score-1", now=NOW)
        connection.execute("update ops.leases set host = 'another machine'")
    with pytest.raises(Unavailable, match="score-1 is at work"):
        erase(["Ug1"], [], now=NOW)
    erase(["Ug1"], [], is_dry=True, now=NOW)
    assert read_alerts(lake) == [("run/erase", "error", 1, False)], "a look is no erasure"
    erase(["Ug1"], [], now=NOW + 7 * HOUR)
    assert read_alerts(lake) == [("run/erase", "error", 1, True)]


@pytest.fixture
def prefect_away() -> Iterator[str]:
    """A Prefect API at which nobody listens."""
    api = "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: api, PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield api


def test_without_prefect_a_command_ends_with_a_sentence(lake: Lake, prefect_away: str) -> None:
    done = run_command("materialize", environment={"SCORELAKE_HOME": str(lake.home), "PREFECT_API_URL": prefect_away})
    assert done.returncode == 4
    assert f"Unavailable: the Prefect API at {prefect_away} does not answer as it should" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_that_prefect_does_not_take_fails_no_run(prefect_away: str, caplog: pytest.LogCaptureFixture) -> None:
    tell(begin("odd", now=NOW), Report("done", {}))
    assert "report not kept run_id=odd-20261001T000000" in caplog.text
    assert prefect_away in caplog.text
