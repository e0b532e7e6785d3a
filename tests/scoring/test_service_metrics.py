"""What Prometheus is told, and that dashboard and alert rules ask for nothing else."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import promql_parser
import pyarrow as pa
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from feature_repo.lake import Lake, read_lake, write_lake
from tests.flows.commands import run_command
from tests.scoring.serving import Client

pytestmark = pytest.mark.path

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
# Prometheus makes these itself.
OWN = {"up": {"job", "instance"}}


def list_expressions() -> list[str]:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((MONITORING / "grafana.json").read_text())["panels"]
    return [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]


def walk(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """The selectors in an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("vector_selector", "expr", "lhs", "rhs", "param", "vs"):
        if (child := getattr(node, name, None)) is not None:
            yield from walk(child)
    for child in getattr(node, "args", None) or []:
        yield from walk(child)


@pytest.fixture(scope="module")
def told(client: Client) -> dict[str, list[dict[str, str]]]:
    """The labels of every sample by its name, from a service that has answered, been refused, and been watched."""
    client.score("hello")
    client.http.get("/v1/models", headers={"X-API-Key": "wrong"})
    samples: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(client.http.get("/metrics").text):
        samples.setdefault(family.name, [])  # of which there may be no sample yet
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    return samples


@pytest.mark.parametrize("expression", list_expressions())
def test_an_expression_asks_for_what_is_told(told: dict[str, list[dict[str, str]]], expression: str) -> None:
    selectors = list(walk(promql_parser.parse(expression)))
    assert selectors
    for selector in selectors:
        if selector.name in OWN:
            continue
        assert selector.name in told, f"{selector.name} is not told"
        for matcher in selector.matchers.matchers:
            assert any(matcher.name in labels for labels in told[selector.name]), (
                f"{selector.name} has no {matcher.name}"
            )
            if matcher.op == promql_parser.MatchOp.Equal:
                values = {labels.get(matcher.name) for labels in told[selector.name]}
                assert matcher.value in values, f"{selector.name} is never told with {matcher.name}={matcher.value}"


def read_value(client: Client, name: str, **labels: str) -> float | None:
    return client.registry.get_sample_value(name, labels)


def test_requests_are_counted_by_route_and_never_by_path(client: Client) -> None:
    before = read_value(client, "scorelake_http_request_seconds_count", route="none", method="any", status="404") or 0
    client.http.get("/v1/comments/one-of-millions")
    client.http.get("/one-of-millions")
    text = client.http.get("/metrics").text
    assert "one-of-millions" not in text
    assert 'route="/v1/comments/{comment_id}",status="404"' in text
    after = read_value(client, "scorelake_http_request_seconds_count", route="none", method="any", status="404")
    assert after is not None
    assert after >= before + 1, "and those before may be counted meanwhile"


def test_what_batch_runs_did_is_told_from_the_ledger(client: Client, served_home: Path) -> None:
    with read_lake(Lake(served_home)) as connection:
        [(rows, refused)] = connection.execute(
            "select sum(rows_out), sum(rows_quarantined) from ops.runs where kind = 'ingest' and outcome = 'done'"
        ).fetchall()
    labels = {"kind": "ingest", "model": "", "outcome": "done"}
    assert read_value(client, "scorelake_rows_total", **labels) == rows
    assert read_value(client, "scorelake_rows_quarantined_total", **labels) == refused > 0
    assert read_value(client, "scorelake_last_run_seconds", kind="train", model="spam", outcome="done")
    assert read_value(client, "scorelake_champion_version", model="spam") == 1
    assert read_value(client, "scorelake_online_timestamp_seconds") == 1_790_812_800
    assert read_value(client, "scorelake_lake_readable") == 1


def test_without_a_service_a_file_tells_the_same(served_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "scorelake.prom"
    done = run_command("metrics", "--output", str(file), environment={"SCORELAKE_HOME": str(served_home)})
    assert (done.returncode, done.stdout) == (0, "")
    families = {family.name for family in text_string_to_metric_families(file.read_text())}
    described = [line for line in file.read_text().splitlines() if line.startswith("# TYPE")]
    assert len(described) == len(set(described)), "a name that is described twice, the node exporter refuses"
    assert {"scorelake_runs", "scorelake_champion_version", "scorelake_open_alerts"} <= families


def test_drift_is_told_of_the_newest_run(served_home: Path, tmp_path: Path) -> None:
    lake = Lake(Path(shutil.copytree(served_home, tmp_path / "home")))
    with write_lake(lake, purpose="test") as connection:
        for run, day, drifted in (("m1", 1, True), ("m2", 2, False), ("m2", 2, True)):
            row = {
                "run_id": run,
                "model": "spam",
                "checked_at": datetime(2026, 10, day, tzinfo=UTC),
                "window_from": datetime(2026, 9, day, tzinfo=UTC),
                "window_to": datetime(2026, 10, day, tzinfo=UTC),
                "column_name": f"c{drifted}",
                "kind": "data",
                "method": "wasserstein",
                "score": 0.2,
                "threshold": 0.1,
                "is_drifted": drifted,
                "reference_rows": 10,
                "current_rows": 10,
                "report": "r.html",
                "is_calibrated": False,
            }
            connection.register("row", pa.Table.from_pylist([row]))
            connection.execute("insert into monitoring.drift by name from row")
    done = run_command("metrics", environment={"SCORELAKE_HOME": str(lake.home)})
    assert 'scorelake_drifted_checks{model="spam"} 1.0' in done.stdout
    assert 'scorelake_drift_checks{model="spam"} 2.0' in done.stdout


def test_a_lake_that_cannot_be_read_is_told_and_the_last_values_stay(served_home: Path, tmp_path: Path) -> None:
    from scoring.serving.batch_exposition import BatchCollector  # noqa: PLC0415

    lake = Lake(Path(shutil.copytree(served_home, tmp_path / "home")))
    collector = BatchCollector(lake)
    before = {metric.name: metric for metric in collector.collect()}
    shutil.rmtree(lake.folder)
    collector._read_at = float("-inf")
    after = {metric.name: metric for metric in collector.collect()}
    assert before.keys() == after.keys()
    assert before["scorelake_lake_readable"].samples[0].value == 1
    assert after["scorelake_lake_readable"].samples[0].value == 0
    assert after["scorelake_data_version"].samples == before["scorelake_data_version"].samples
