"""`scorelake backup` and `restore` on a trained home, while somebody writes to it."""

import json
import multiprocessing
import shutil
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from flows.processes import mark_process
from flows.up_state import UP, UpState, write_state
from tests.flows.commands import run_command
from training.registry import list_versions, resolve

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def home(trained_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_home, tmp_path / "home"))


def write_on(lake: Lake, has_begun: Event, is_over: Event) -> None:
    """Write pairs of rows, one in each of two tables, in transactions that must be seen whole."""
    number = 0
    while not is_over.wait(0.2):  # hourly runs leave each other more time than that
        run = Run(f"pair-{number}", "maintain", NOW, NOW)
        with write_lake(lake, purpose="write on") as connection:

            def write(inside: Any, run: Run = run) -> None:
                append_run(inside, run)
                inside.execute(
                    "insert into ops.leases values (?, ?, 'elsewhere', 1, now(), now(), null)", [run.run_id, run.run_id]
                )

            run_transaction(connection, write)
        has_begun.set()
        number += 1


def digest_tables(lake: Lake, snapshot: int | None = None) -> dict[str, tuple[Any, ...]]:
    """Rows and a digest of each table's rows, whatever their order; as of a snapshot, if one is given."""
    with read_lake(lake) as connection:
        names = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake' order by 1"
        ).fetchall()
        at = f"at (version => {snapshot})" if snapshot else ""
        sql = "select count(*), sum(hash(row_of::varchar)::hugeint) from (select * from {} {}) as row_of"
        return {name: connection.execute(sql.format(name, at)).fetchall()[0] for (name,) in names}


def read_newest_snapshot(lake: Lake) -> int:
    with read_lake(lake) as connection:
        return int(connection.execute("select max(snapshot_id) from ducklake_snapshots('lake')").fetchall()[0][0])


def describe_versions(home: Path) -> list[tuple[Any, ...]]:
    lake = Lake(home)
    found = [one for model in ("sentiment", "spam") for one in list_versions(lake, model)]
    assert all(one.path.is_relative_to(home) for one in found)
    return [(one.model, one.version, one.aliases, one.descriptor, one.path.read_bytes()) for one in found]


def test_a_home_that_is_written_to_is_restored_elsewhere_and_scores_there(
    home: Path, tmp_path: Path, prefect_environment: dict[str, str]
) -> None:
    folder, restored = tmp_path / "backups", tmp_path / "elsewhere" / "restored"
    context = multiprocessing.get_context("spawn")
    has_begun, is_over = context.Event(), context.Event()
    writer = context.Process(target=write_on, args=(Lake(home), has_begun, is_over))
    writer.start()
    try:
        assert has_begun.wait(60)
        done = run_command("backup", str(folder), "--json", environment={"SCORELAKE_HOME": str(home)})
    finally:
        is_over.set()
        writer.join(60)
    assert writer.exitcode == 0
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)
    assert (receipt["rounds"], receipt["has_settings"]) == (1, False)
    assert receipt["held_seconds"] < 1

    environment = {**prefect_environment, "SCORELAKE_HOME": str(restored)}
    done = run_command("restore", str(folder), environment=environment)
    assert done.returncode == 0, done.stderr
    assert "the author key is missing" in " ".join(done.stdout.split())
    check_is_one_instant(Lake(restored), Lake(home))
    assert describe_versions(restored) == describe_versions(home)
    assert resolve(Lake(restored), "spam").version == "1"

    done = run_command("score", "spam", "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_scored"] > 1_000
    with read_lake(Lake(home)) as connection:
        assert connection.execute("select count(*) from scores.spam").fetchone() == (0,)
        kinds = connection.execute("select kind, run_id from ops.runs where kind = 'backup'").fetchall()
    assert kinds == [("backup", receipt["name"])]


def check_is_one_instant(restored: Lake, live: Lake) -> None:
    """Every table is what it was at one snapshot of the lake that was backed up; leases are given back."""
    with read_lake(restored) as connection:
        pairs = connection.execute("select count(*) from ops.runs where run_id like 'pair-%'").fetchone()
    found = digest_tables(restored)
    leases = found.pop("ops.leases")
    expected = digest_tables(live, snapshot=read_newest_snapshot(restored) - 1)  # the last one gave leases back
    assert pairs == (expected.pop("ops.leases")[0],)
    assert leases[0] == 0
    assert found == expected


def test_backups_are_listed_and_verified(home: Path, tmp_path: Path) -> None:
    environment = {"SCORELAKE_HOME": str(home)}
    for _ in range(2):
        assert (
            run_command("backup", str(tmp_path / "backups"), "--with-settings", environment=environment).returncode == 0
        )
    listed = run_command("restore", str(tmp_path / "backups"), "--list", "--json", environment=environment)
    found = json.loads(listed.stdout)
    assert (found["is_verified"], len(found["backups"])) == (False, 2)
    newest, oldest = (one["name"] for one in found["backups"])
    assert newest > oldest
    verified = run_command("restore", str(tmp_path / "backups"), "--verify", environment=environment)
    assert "verified: every file is what was stored" in verified.stdout
    assert newest in verified.stdout
    assert "0.1.0" in verified.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["backup", "{tmp}/backups"], 4, "no lake at"),
        (["backup", "{tmp}/home/backups"], 2, "would be lost together with"),
        (["restore", "{tmp}/backups"], 2, "no backups in"),
        (["restore", "{tmp}/backups", "--list"], 2, "no backups in"),
        (["restore", "{tmp}/backups", "--list", "--replace"], 2, "--list and --verify restore nothing"),
        (["backup", "{tmp}/backups", "--keep", "0"], 2, "Invalid value for '--keep'"),
    ],
)
def test_a_mistake_is_a_sentence_and_changes_nothing(
    tmp_path: Path, arguments: list[str], exit_code: int, words: str
) -> None:
    said = [one.format(tmp=tmp_path) for one in arguments]
    done = run_command(*said, environment={"SCORELAKE_HOME": str(tmp_path / "home")})
    assert (done.returncode, done.stdout) == (exit_code, ""), done.stderr
    assert words in done.stderr
    assert not (tmp_path / "home" / "lake").exists()


def test_a_home_on_which_everything_is_up_is_not_replaced(lake: Lake, tmp_path: Path) -> None:
    environment = {"SCORELAKE_HOME": str(lake.home)}
    assert run_command("backup", str(tmp_path / "backups"), environment=environment).returncode == 0
    sleeper = multiprocessing.get_context("spawn").Event()
    process = multiprocessing.get_context("spawn").Process(target=sleeper.wait, args=(60,))
    process.start()
    write_state(
        lake.home, UpState("token", "http://127.0.0.1:9", "http://127.0.0.1:9", {UP: mark_process(process.pid or 0)})
    )
    done = run_command("restore", str(tmp_path / "backups"), "--replace", environment=environment)
    sleeper.set()
    process.join(60)
    assert done.returncode == 4
    assert "`scorelake up` runs on" in done.stderr
