"""Four months through the real flows, with faults: `python -m tests.benchmarks.months [--days N] [--comments-a-day N]`.

Four weeks of history are brought in, the models trained, and then each day ends as in production: what the day brought
lies in the inbox, and the deployments of `prefect.yaml` run with the parameters that it gives them, each as of the
first time of that morning that its schedule names (hourly ones once). All runs are of one process and one Prefect
server; nothing is told to them but the instant. What has gone wrong is in `months_story`; when it was noticed, by what,
and what was done about it is read from the lake alone, by `months_findings`. Nobody acts but the operator who promotes
a bad model. Ends with exit code 1 if a fault was missed, or not all is well at the end.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console

from feature_repo.errors import ScorelakeError
from flows.deployments import Deployment, read_file
from flows.report import print_report
from flows.sample import DayFiles
from flows.server import serve_api
from flows.settings import read_settings
from tests.benchmarks.months_findings import build_report, find_out
from tests.benchmarks.months_story import BAD_MODEL, DAY, HISTORY_DAYS, find_morning, write_story

_FILE = Path(__file__).parents[2] / "prefect.yaml"
_NOON = timedelta(hours=12)


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Due:
    """A run that a schedule names: of which deployment, and as of when."""

    at: datetime
    deployment: Deployment


def list_due(deployments: tuple[Deployment, ...], morning: datetime) -> list[Due]:
    """What the schedules name for the day that begins, in order; of hourly runs the first."""
    due = []
    for deployment in deployments:
        for schedule in deployment.schedules:
            at = find_next(schedule.cron, schedule.timezone, morning)
            if at < morning + DAY:
                due.append(Due(at, deployment))
    return sorted(due, key=lambda one: one.at)


def find_next(cron: str, timezone: str, after: datetime) -> datetime:
    """When a schedule names its next run, as Prefect's server reckons."""
    from prefect.server.schemas.schedules import CronSchedule  # noqa: PLC0415 - takes seconds

    (at,) = asyncio.run(CronSchedule(cron=cron, timezone=timezone).get_dates(1, after))
    return datetime.fromtimestamp(at.timestamp(), UTC)


def find_flow(deployment: Deployment) -> str:
    """The flow of a deployment, by name."""
    return deployment.name.partition("/")[0]


def find_flows() -> dict[str, Callable[..., Any]]:
    """The flows of the deployments, by name."""
    from flows.evaluate import evaluate  # noqa: PLC0415 - Prefect looks at its server's address when it is imported
    from flows.ingest import ingest  # noqa: PLC0415
    from flows.maintain import maintain  # noqa: PLC0415
    from flows.materialize import materialize  # noqa: PLC0415
    from flows.monitor import monitor  # noqa: PLC0415
    from flows.score import score  # noqa: PLC0415
    from flows.skew import skew  # noqa: PLC0415
    from flows.train import train  # noqa: PLC0415

    return {
        "evaluate": evaluate, "ingest": ingest, "maintain": maintain, "materialize": materialize,
        "monitor": monitor, "score": score, "skew": skew, "train": train,
    }  # fmt: skip


class Months:
    """The platform, day by day."""

    def __init__(self, home: Path, models: tuple[str, ...], weekly: tuple[str, ...]) -> None:
        self.home, self.models, self.weekly = home, models, weekly
        self.flows = find_flows()
        others = {"sentiment", "spam"} - {*models}
        self.deployments = tuple(
            one for one in read_file(_FILE) if one.schedules and one.parameters.get("model") not in others
        )
        self.failures: list[str] = []

    def begin(self, days: tuple[DayFiles, ...]) -> None:
        """Bring in the history, and train and score for the first time."""
        now = find_morning(0)
        self._feed(days, now)
        for model in self.models:
            self.flows["train"](model, now=now)
            self.flows["score"](model, now=now)

    def live(self, number: int, day: DayFiles) -> None:
        """Live through a day and the morning after it."""
        if number == BAD_MODEL.first:
            self._force_bad_model(find_morning(number) - _NOON)
        morning = find_morning(number)
        self._bring(day, morning)
        for due in list_due(self.deployments, morning):
            if morning.weekday() == 0 or find_flow(due.deployment) not in self.weekly:
                self._run(due)
        shutil.rmtree(self.home / "inbox")

    def _feed(self, days: tuple[DayFiles, ...], now: datetime) -> None:
        ingest = self.flows["ingest"]
        ingest("channels", [str(one.channels) for one in days], now=now)
        ingest("videos", [str(one.videos) for one in days], now=now)
        ingest("comments", [str(one.comments) for one in days], now=now)
        for model in self.models:
            ingest("labels", [str(_read_labels(one, model)) for one in days], task_name=model, now=now)
        self.flows["materialize"](now=now)

    def _bring(self, day: DayFiles, morning: datetime) -> None:
        """Lay the comments into the inbox; what has no deployment an operator's own script brings in."""
        inbox = self.home / "inbox" / "comments"
        inbox.mkdir(parents=True)
        shutil.copy(day.comments, inbox)
        for kind, path, model in (
            ("channels", day.channels, None),
            ("videos", day.videos, None),
            *(("labels", _read_labels(day, model), model) for model in self.models),
        ):
            if path.read_text(encoding="utf-8").count("\n") > 1:
                self.flows["ingest"](kind, [str(path)], task_name=model, now=morning)

    def _run(self, due: Due) -> None:
        name = due.deployment.name
        try:
            self.flows[find_flow(due.deployment)](**due.deployment.parameters, now=due.at)
        except ScorelakeError as error:  # a run that failed or was refused: told in ops.alerts, and the day goes on
            self.failures.append(f"{due.at:%Y-%m-%d %H:%M} {name}: {error}")
            say(f"  {self.failures[-1][:300]}")

    def _force_bad_model(self, now: datetime) -> None:
        from training.promote import promote_version  # noqa: PLC0415 - MLflow takes seconds

        model = self.models[0]
        refused = self.flows["train"](model, candidate={"C": 1e-6}, now=now)
        lake, why = read_settings().lake, "it looked good in a notebook"
        promote_version(lake, model, refused.version, run_id="by-hand", now=now + timedelta(hours=1), overruling=why)
        say(f"  version {refused.version} of {model} promoted by force")


def _read_labels(day: DayFiles, model: str) -> Path:
    return day.sentiment_labels if model == "sentiment" else day.spam_labels


def _list_weeks(days: int) -> Iterator[range]:
    for first in range(1, days + 1, 7):
        yield range(first, min(first + 7, days + 1))


def drive(home: Path, days: int, comments_a_day: int, models: tuple[str, ...], weekly: tuple[str, ...]) -> None:
    """Generate the months and live through them."""
    started = perf_counter()
    files = write_story(home / "sample", days, comments_a_day)
    say(f"{len(files)} days written in {perf_counter() - started:.0f} s")
    with serve_api(home) as server:
        months = Months(home, models, weekly)
        if server is not None:
            server.wait()
        months.begin(files[:HISTORY_DAYS])
        say(f"history brought in, {perf_counter() - started:.0f} s")
        for week in _list_weeks(days):
            for number in week:
                months.live(number, files[HISTORY_DAYS + number - 1])
            say(f"day {week[-1]} of {days}, {perf_counter() - started:.0f} s")


def main() -> None:
    """Print what was noticed and done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--comments-a-day", type=int, default=200)
    parser.add_argument("--models", nargs="+", default=["sentiment"], choices=["sentiment", "spam"])
    parser.add_argument("--weekly", nargs="*", default=[], help="flows that run on Mondays only, to save time")
    parser.add_argument("--home", type=Path, help="kept; a folder that is deleted in the end if not given")
    parser.add_argument("--read", action="store_true", help="only read what a home that was kept has to tell")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (asked.home or Path(scratch) / "home").absolute()
        os.environ |= {"SCORELAKE_HOME": str(home)}
        home.mkdir(parents=True, exist_ok=True)
        started, models = perf_counter(), tuple(asked.models)
        if not asked.read:
            drive(home, asked.days, asked.comments_a_day, models, tuple(asked.weekly))
        found = find_out(read_settings(), asked.days, models)
        print_report(build_report(found, perf_counter() - started), Console())
    sys.exit(0 if found.is_well else 1)


if __name__ == "__main__":
    main()
