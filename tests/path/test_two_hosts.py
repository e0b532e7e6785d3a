"""Two hosts at the same job at once, in short; `python -m tests.path.two_hosts` does it at length."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import make_database

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.path


def test_of_two_hosts_at_the_same_job_one_writes_and_no_run_is_lost() -> None:
    with make_database():  # or it is skipped, with the reason
        pass
    command = [sys.executable, "-m", "tests.path.two_hosts", "--rounds", "2", "--killed-share", "1", "--seed", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stdout.startswith("{"), done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    assert found["rounds"] == 2
    assert found["kills"] > 0
