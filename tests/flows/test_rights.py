"""What is said to a user who may not write where the lake is; root tries it without its right to write everywhere."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feature_repo.lake import Lake

_DROPPED = "-dac_override,-dac_read_search"
_PLAIN = () if os.geteuid() else ("setpriv", f"--bounding-set={_DROPPED}", f"--inh-caps={_DROPPED}")


_READ = """
from feature_repo.lake import read_lake
from flows.settings import read_settings

with read_lake(read_settings().lake) as connection:
    connection.execute("from ops.releases").fetchall()
"""


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_python(home, "-m", "flows.cli", *arguments, **variables)


def run_python(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_PLAIN, sys.executable, *arguments],
        env={**os.environ, **variables, "SCORELAKE_HOME": str(home), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Nothing in a folder may be written."""
    paths = [(path, path.stat().st_mode) for path in (folder, *folder.rglob("*"))]
    try:
        for path, mode in paths:
            path.chmod(mode & 0o555)
        yield
    finally:
        for path, mode in paths:
            path.chmod(mode)


@pytest.mark.parametrize("arguments", [("apply",), ("up",), ("materialize",), ("sample", "{home}")])
def test_a_home_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    home = tmp_path / "closed" / "home"
    home.parent.mkdir()
    with closed(home.parent):
        done = run(home, *(one.format(home=home) for one in arguments), PREFECT_API_URL="")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"BadData: cannot use {home}: Permission denied. ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("status",), ("sql", "select 1")])
def test_a_reader_without_the_right_to_write_is_told_what_to_read(lake: Lake, arguments: tuple[str, ...]) -> None:
    with closed(lake.home):
        done = run(lake.home, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"BadData: this user may not use the lake of {lake.catalog.describe()} ")
    assert "read published/scorelake.duckdb" in done.stderr


def test_a_data_file_that_may_not_be_read_is_named(lake: Lake) -> None:
    files = [path for path in lake.folder.rglob("*.parquet") if path.is_file()]
    assert files
    for path in files:
        path.chmod(0)
    done = run_python(lake.home, "-c", _READ)
    last = done.stderr.splitlines()[-1]
    assert "BadData: this user may not use the lake of " in last
    assert any(f'Cannot open file "{path}": Permission denied' in last for path in files)


def test_a_run_that_meets_what_another_user_has_made_says_so(
    lake: Lake, tmp_path: Path, prefect_environment: dict[str, str]
) -> None:
    file = tmp_path / "comments.csv"
    file.write_text("comment_id,video_id,channel_id,author_id,text,published_at,like_count,reply_count\n")
    lock = lake.folder / "writer.lock"
    lock.touch()
    with closed(lock):
        done = run(lake.home, "ingest", "comments", str(file), SCORELAKE_AUTHOR_KEY="a key", **prefect_environment)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"BadData: cannot use {lock}: Permission denied. ")
    assert "an error that was not expected" not in done.stderr


def test_the_doctor_takes_what_it_may_not_read_for_no_damage(lake: Lake) -> None:
    with closed(lake.home):
        done = run(lake.home, "doctor", "--json", PREFECT_API_URL="")
    assert done.returncode == 3, done.stderr
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    assert (found["rights"]["state"], found["lake"]["state"]) == ("wrong", "unknown")
    assert str(lake.home) in found["rights"]["found"]
    assert not [one for one in found.values() if "backup" in one["advice"]]
