"""The doctor on lakes, wheels and a server to which something has really happened."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from typer.testing import CliRunner

from feature_repo.extensions import find_extension
from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.leftovers import open_staging
from feature_repo.release import Release
from flows.checkup import Finding, Scene, examine
from flows.cli import app
from flows.doctor import SomethingWrong, build_report, doctor
from flows.lake_checks import LAKE_CHECKS
from flows.model_checks import MODEL_CHECKS
from flows.processes import mark_process
from flows.settings import Settings
from flows.up_state import UpState, write_state
from scoring.lease import take_lease
from tests.flows.findings import name_states

ABOUT_THE_LAKE = ("rights", "lake", "tables", "locks", "leftovers", "disk")
ABOUT_ALL = ("extensions", *ABOUT_THE_LAKE, "models")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def look(home: Path, *names: str, is_repairing: bool = False, **settings: Any) -> dict[str, Finding]:
    scene = Scene(Settings(home=home, **settings), NOW, api=None)
    checks = tuple(check for check in (*LAKE_CHECKS, *MODEL_CHECKS) if check.name in names or not names)
    return {one.check: one for one in examine(checks, scene, is_repairing=is_repairing)}


def read_files(home: Path) -> dict[str, bytes]:
    # Readers of a SQLite catalog in WAL mode make the files beside it.
    beside = ("-wal", "-shm")
    paths = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith(beside))
    return {str(path.relative_to(home)): path.read_bytes() for path in paths}


def execute(lake: Lake, sql: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        run_transaction(connection, lambda inside: inside.execute(sql))


def test_a_sound_lake_is_well(lake: Lake) -> None:
    assert name_states(look(lake.home)) == {}


def test_no_lake_is_said_and_none_is_made(tmp_path: Path) -> None:
    home = tmp_path / "typo"
    for is_repairing in (False, True):
        findings = look(home, *ABOUT_THE_LAKE, is_repairing=is_repairing)
        assert name_states(findings) == {"lake": "wrong", "tables": "unknown"}
        assert findings["lake"].found == f"no lake at {home}"
        assert "Set SCORELAKE_HOME to where it is" in findings["lake"].advice
    assert not home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_what_another_user_has_left_is_named(lake: Lake) -> None:
    left = lake.folder / "writer.lock"
    left.touch()
    os.chown(left, 65_534, 65_534)
    found = look(lake.home, "rights")["rights"]
    assert found.state == "wrong"
    assert found.found == f"1 files and folders of another user, or closed to this one: {left}"
    left.chmod(0o664)  # a group shares the home
    assert name_states(look(lake.home, "rights")) == {}


def damage_catalog(lake: Lake) -> None:
    content = bytearray(lake.catalog.file.read_bytes())
    content[4096:20_000] = b"\x00" * (20_000 - 4096)
    lake.catalog.file.write_bytes(content)


def overwrite_catalog(lake: Lake) -> None:
    lake.catalog.file.write_bytes(b"no database at all" * 1000)


def lose_file(lake: Lake) -> None:
    execute(lake, "insert into ops.leases values ('x', 'r', 'elsewhere', 1, now(), timestamptz '2027-01-01', null)")
    next(Path(lake.storage.data).rglob("*.parquet")).unlink()


def cut_file(lake: Lake) -> None:
    execute(lake, "insert into ops.leases values ('x', 'r', 'elsewhere', 1, now(), timestamptz '2027-01-01', null)")
    file = next(Path(lake.storage.data).rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-10])


def take_newer_format(lake: Lake) -> None:
    with closing(sqlite3.connect(lake.catalog.file)) as connection, connection:
        connection.execute("update ducklake_metadata set value = '99.0' where key = 'version'")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage_catalog, "the catalog .* is damaged|the lake cannot be opened"),
        (overwrite_catalog, "the catalog .* is damaged: file is not a database"),
        (lose_file, "1 data files are gone or damaged: .*parquet"),
        (cut_file, "1 data files are gone or damaged: .*parquet"),
    ],
)
def test_a_broken_lake_is_told_and_left_alone(lake: Lake, harm: Callable[[Lake], None], words: str) -> None:
    harm(lake)
    before = read_files(lake.home)
    found = look(lake.home, "lake", is_repairing=True)["lake"]
    assert found.state == "wrong"
    assert re.search(words, found.found), found.found
    assert "from a backup" in found.advice
    assert read_files(lake.home) == before


def test_a_catalog_of_another_ducklake_is_told_and_left_alone(lake: Lake) -> None:
    take_newer_format(lake)
    before = read_files(lake.home)
    found = look(lake.home, "lake", "tables", is_repairing=True)
    for one in found.values():
        assert one.state == "wrong"
        assert "is in a format that the DuckLake of scorelake" in one.found
        assert one.advice == "Install that release, or a later one"
    assert read_files(lake.home) == before


def test_a_lake_that_a_later_release_has_migrated_is_told_and_left_alone(lake: Lake) -> None:
    execute(lake, f"comment on table ops.releases is '{Release(99, 1, '9.9.0').mark}'")
    before = read_files(lake.home)
    found = look(lake.home, "tables", is_repairing=True)["tables"]
    assert (found.state, found.advice) == ("wrong", "Install that release, or a later one")
    assert found.found.startswith("scorelake 9.9.0 has brought the lake to schema 99; this is scorelake")
    assert read_files(lake.home) == before


def test_a_lake_that_does_not_say_its_release_is_marked_on_request(lake: Lake) -> None:
    execute(lake, "comment on table ops.releases is 'of an earlier release'")
    found = look(lake.home, "tables", is_repairing=True)["tables"]
    assert (found.state, found.advice) == ("repaired", "migrated: no table")
    assert look(lake.home, "tables")["tables"].state == "well"


def test_a_lake_of_an_earlier_release_is_migrated_on_request(lake: Lake) -> None:
    execute(lake, "alter table ops.runs drop column cpu_seconds")
    found = look(lake.home, "tables")["tables"]
    assert (found.state, found.found) == (
        "wrong", "the lake is of an earlier release: ops.runs are not as declared"
    )  # fmt: skip
    found = look(lake.home, "tables", is_repairing=True)["tables"]
    assert (found.state, found.advice) == ("repaired", "migrated: ops.runs")
    assert look(lake.home, "tables")["tables"].state == "well"


def test_a_lake_of_a_later_release_is_told_and_left_alone(lake: Lake) -> None:
    execute(lake, "alter table ops.runs add column watts double")
    found = look(lake.home, "tables", is_repairing=True)["tables"]
    assert (found.state, found.found) == ("wrong", "the lake was made by a later release: it has ops.runs.watts")
    assert "Install that release" in found.advice


def die_at_work(home: Path) -> None:
    """A run that holds everything that a run may hold, and is killed."""
    lake = Lake(home)
    with write_lake(lake, purpose="test") as connection:
        take_lease(connection, "sentiment/production", run_id="score-sentiment-1", now=NOW)
    with open_staging(lake, "ingest-1") as folder, write_lake(lake, purpose="publication"):
        (folder / "rows.parquet").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_run_held_and_left_is_found_and_freed(lake: Lake) -> None:
    process = multiprocessing.get_context("spawn").Process(target=die_at_work, args=(lake.home,))
    process.start()
    process.join(60)
    write_state(lake.home, UpState("token", "http://127.0.0.1:9", "http://127.0.0.1:9", {}))
    before = read_files(lake.home)
    findings = look(lake.home, "locks", "leftovers")
    assert name_states(findings) == {"locks": "wrong", "leftovers": "wrong"}
    assert f"the name of a writer (publication, process {process.pid} on " in findings["locks"].found
    assert "the lease sentiment/production of run score-sentiment-1" in findings["locks"].found
    assert "up.json of a `scorelake up`" in findings["locks"].found
    assert findings["leftovers"].found == "1 files and folders of dead runs: staging/ingest-1"
    assert read_files(lake.home) == before, "nobody asked for a repair"

    assert name_states(look(lake.home, "locks", "leftovers", is_repairing=True)) == {
        "locks": "repaired", "leftovers": "repaired"
    }  # fmt: skip
    assert name_states(look(lake.home, "locks", "leftovers")) == {}
    assert list(lake.staging.iterdir()) == []


def test_what_live_runs_hold_is_theirs(lake: Lake) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        worker = pool.apply(os.getpid)
        started = datetime.fromtimestamp(psutil.Process(worker).create_time(), UTC)
        execute(
            lake,
            f"insert into ops.leases values ('spam/production', 'live', '{socket.gethostname()}', {worker}, "
            f"'{NOW}', '{NOW + timedelta(hours=6)}', '{started}')",
        )
        write_state(lake.home, UpState("token", "", "", {"up": mark_process(worker)}))
        with open_staging(lake, "ingest-2"), write_lake(lake, purpose="publication"):
            assert name_states(look(lake.home, "locks", "leftovers")) == {}


def test_a_disk_without_its_reserve_is_told(lake: Lake) -> None:
    found = look(lake.home, "disk", disk_reserve_mib=1 << 40)["disk"]
    assert found.state == "wrong"
    assert "MiB free, less than the 1,099,511,627,776 MiB of SCORELAKE_DISK_RESERVE_MIB" in found.found
    assert "scorelake maintain" in found.advice


@pytest.mark.parametrize(
    ("version", "content", "words"),
    [
        ("1.4.0", "whole", f"duckdb is {duckdb.__version__}, but ducklake is built for another version"),
        (duckdb.__version__, "cut", "ducklake: .*(not a DuckDB extension|could not|Invalid|metadata)"),
        (duckdb.__version__, "changed", "ducklake: .*signature"),
    ],
)
def test_a_wheel_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, content: str, words: str
) -> None:
    original = find_extension("ducklake").read_bytes()
    wheel = tmp_path / "duckdb_extension_ducklake" / "extensions" / f"v{version}"
    wheel.mkdir(parents=True)
    (wheel.parents[1] / "__init__.py").touch()
    half = len(original) // 2
    bodies = {
        "whole": original,
        "cut": original[:half],
        "changed": original[:half] + bytes([original[half] ^ 1]) + original[half + 1 :],
    }
    (wheel / "ducklake.duckdb_extension").write_bytes(bodies[content])
    monkeypatch.syspath_prepend(tmp_path)
    found = look(tmp_path, "extensions")["extensions"]
    assert found.state == "wrong"
    assert re.search(words, found.found), found.found
    assert "Install the wheels of duckdb" in found.advice


def test_a_champion_that_was_changed_is_told(trained_home: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(trained_home, tmp_path / "trained"))
    assert look(home, "models")["models"].found == "sentiment 1 is whole; spam 1 is whole"
    pipeline = next((home / "mlflow").rglob("model.skops"))
    pipeline.write_bytes(pipeline.read_bytes() + b"x")
    found = look(home, "models")["models"]
    assert found.state == "wrong"
    assert f"the file {pipeline} is not the one that was registered" in found.found
    assert "roll back" in found.advice


def test_a_server_that_is_named_and_does_not_answer_is_wrong(
    lake: Lake, prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    for name, value in {**prefect_environment, **gone, "SCORELAKE_HOME": str(lake.home)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SomethingWrong, match="something is wrong and left so: server") as wrong:
        doctor()
    receipt = wrong.value.receipt
    assert [one.check for one in receipt.findings] == [*ABOUT_ALL, "server"], "what needs it was not looked at"
    report = build_report(receipt)
    assert report.title == "Doctor: 8 well, 1 wrong"
    assert report.notes[0].startswith("server: Schedules, runs and their slots are Prefect's; its client and server")
    assert report.notes[0].endswith("To do: Start it, or set PREFECT_API_URL to one that runs.")


def test_the_command_ends_with_3_and_tells_scripts_what_it_found(
    tmp_path: Path, prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in prefect_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SCORELAKE_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("PREFECT_API_URL")
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert isinstance(done.exception, SomethingWrong)
    assert done.exception.exit_code == 3
    said = {one["check"]: one["state"] for one in json.loads(done.stdout)["findings"]}
    assert said == {
        "extensions": "well", "rights": "well", "lake": "wrong", "tables": "unknown", "locks": "well",
        "leftovers": "well", "disk": "well", "models": "unknown", "server": "unknown",
    }  # fmt: skip
