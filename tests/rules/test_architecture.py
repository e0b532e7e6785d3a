"""The layout, held by tests: who may import what, where the clock is read, how long a file may be."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("feature_repo", "training", "scoring", "flows")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _importers(library: str) -> set[str]:
    return {_name(path) for path in SOURCES if any(name.split(".")[0] == library for name in _imports(path))}


@pytest.mark.parametrize(
    ("library", "owners"),
    [
        (
            "feast",
            {
                "feature_repo/catalog.py",
                "feature_repo/definitions.py",
                "feature_repo/offline_source.py",
                "feature_repo/offline_store.py",
                "feature_repo/online.py",
                "feature_repo/retrieval.py",
                "feature_repo/retrieval_job.py",
                "feature_repo/saved_dataset.py",
            },
        ),
        ("mlflow", {"training/registry.py", "training/run_log.py"}),
        ("evidently", {"scoring/drift.py"}),
        ("filelock", {"feature_repo/file_lock.py", "feature_repo/leftovers.py", "flows/up.py"}),
        ("psycopg", {"feature_repo/catalogs/postgres.py", "feature_repo/databases.py"}),
        ("boto3", {"feature_repo/storages/s3.py"}),
        (
            "fastapi",
            {
                "scoring/service.py",
                "scoring/serving/document.py",
                "scoring/serving/problems.py",
                "scoring/serving/routes.py",
            },
        ),
        (
            "prometheus_client",
            {
                "scoring/service.py",
                "scoring/serving/batch_exposition.py",
                "scoring/serving/exposition.py",
                "scoring/serving/routes.py",
            },
        ),
        ("googleapiclient", {"feature_repo/sources/youtube_client.py"}),
    ],
)
def test_a_library_is_known_to_its_owners_only(library: str, owners: set[str]) -> None:
    assert _importers(library) <= owners


def test_only_flows_knows_prefect_and_the_terminal() -> None:
    for library in ("prefect", "typer", "rich"):
        assert {name.split("/")[0] for name in _importers(library)} <= {"flows"}


def test_flows_hold_no_frame_logic() -> None:
    frames = {"pandas", "numpy", "scipy", "sklearn"}
    assert {name for library in frames for name in _importers(library) if name.startswith("flows/")} == set()


def test_only_the_lake_opens_the_lake() -> None:
    assert {_name(path) for path in SOURCES if "ducklake:" in path.read_text()} == {"feature_repo/lake.py"}


def test_only_the_lake_its_upkeep_and_its_snapshots_know_ducklake() -> None:
    callers = {_name(path) for path in SOURCES if re.search(r"ducklake_\w+\('lake'", path.read_text())}
    assert callers == {"feature_repo/lake.py", "feature_repo/snapshots.py", "feature_repo/upkeep.py"}


def test_the_clock_is_read_in_flows_only() -> None:
    clocks = ("datetime.now(", "utcnow(", "date.today(", "time.time(")
    readers = {_name(path) for path in SOURCES if any(clock in path.read_text() for clock in clocks)}
    assert {reader.split("/")[0] for reader in readers} <= {"flows"}


def _loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(found.stdout.split())


def test_a_worker_loads_none_of_the_heavy_libraries() -> None:
    assert _loaded_by("scoring.worker") & {"feast", "mlflow", "evidently", "prefect"} == set()


def test_help_loads_none_of_the_heavy_libraries() -> None:
    assert _loaded_by("flows.cli") & {"feast", "mlflow", "prefect", "pandas", "duckdb"} == set()


def test_there_are_four_packages_and_no_more() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {path.split("/")[0] for path in tracked if path.endswith("__init__.py")} == set(PACKAGES)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 300, "split it, or give it a reason here"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_says_what_belongs_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
