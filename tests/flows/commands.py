"""Commands run within the tests' process: the seconds that a process of their own takes to import are spared.

`tests/flows/test_cli.py`, `test_up.py` and `tests/path/test_erase.py` start some as a user does.
"""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*arguments: str, environment: Mapping[str, str]) -> Done:
    """Run a command with variables of its own; whatever it sets itself is gone afterwards."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - after conftest's server

    from flows.cli import main  # noqa: PLC0415 - the same

    out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
    api = environment.get("PREFECT_API_URL")
    try:
        os.environ.update({"COLUMNS": "200", **environment})
        with (
            pytest.MonkeyPatch.context() as patch,
            temporary_settings({PREFECT_API_URL: api} if api else {}),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            patch.setattr(sys, "argv", ["scorelake", *arguments])
            main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Done(code, out.getvalue(), err.getvalue())
