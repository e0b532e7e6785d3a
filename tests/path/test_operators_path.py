"""README's "Run it every hour" says what prefect.yaml does; `operators_path` does what it says, with real servers."""

import re

from flows.deploy import ROOT
from flows.deployments import POOL, Deployment, read_file
from tests.path.operators_path import SECTION, UP, list_lasting, read_own_server
from tests.path.readme import read_rows, read_section
from training.spec import list_specs

_DAYS = {"1": "Monday"}


def tell_time(cron: str) -> str:
    """A cron expression as README writes it.

    >>> tell_time("5 * * * *"), tell_time("30 2 * * *"), tell_time("0 3 * * 1")
    (':05', '02:30', 'Monday 03:00')
    """
    minute, hour, *_, day = cron.split()
    if hour == "*":
        return f":{int(minute):02}"
    return f"{_DAYS.get(day, '')} {int(hour):02}:{int(minute):02}".strip()


def find_named(cell: str, deployments: tuple[Deployment, ...]) -> set[str]:
    """The deployments that a cell names: `monitor/`, `skew/<model>-daily` are those of both flows, of all models."""
    flows = re.findall(r"`([a-z]+)/", cell)
    (name,) = re.findall(r"`[a-z]+/([a-z<>-]+)`", cell)
    names = {name.replace("<model>", model) for model in list_specs()}
    return {one.name for one in deployments if one.name in {f"{flow}/{name}" for flow in flows for name in names}}


def test_the_table_of_deployments_is_that_of_the_file() -> None:
    deployments = read_file(ROOT / "prefect.yaml")
    left = {one.name for one in deployments}
    for cell, when, *_ in read_rows(read_section(SECTION), "deployment"):
        named = find_named(cell, deployments)
        times = [tell_time(one.cron) for it in deployments if it.name in named for one in it.schedules]
        assert named <= left, cell
        left -= named
        if "to" in when.split():
            assert (min(times), max(times)) == tuple(when.split(" to ")), cell
        elif times:
            day = "".join(re.findall(r"[A-Z][a-z]+ ", when))
            told = [f"{day}{time}" for time in re.findall(r"[\d:]+", when)]
            assert times == told, cell
        else:
            assert when in {"by hand", "when the watch asks for it"}, cell
    assert not left, "not in the table"


def test_its_commands_are_those_that_are_followed() -> None:
    assert UP == "scorelake up"
    first, *_ = read_own_server("/a/home", "http://127.0.0.1:1/api")
    assert first == "export SCORELAKE_HOME=/a/home PREFECT_API_URL=http://127.0.0.1:1/api"
    assert [line.split()[:3] for line in list_lasting()] == [
        ["prefect", "worker", "start"], ["mlflow", "server", "--backend-store-uri"]
    ]  # fmt: skip
    assert list_lasting()[0].endswith(f"--pool {POOL}")
