"""Work apart: what it returns and raises comes back, and it cannot take more memory than it may."""

import os
from functools import partial

import pytest

from feature_repo.errors import BadData, Refused
from scoring.apart import run_apart


def take(mib: int) -> int:
    return len(b"x" * (mib << 20)) >> 20


def refuse() -> None:
    raise BadData("not this")


def test_it_runs_in_another_process_and_its_errors_come_back() -> None:
    assert run_apart(os.getpid, memory_mib=768) != os.getpid()
    with pytest.raises(BadData, match="not this"):
        run_apart(refuse, memory_mib=768)


def test_what_needs_more_memory_than_it_may_is_refused_with_what_to_do() -> None:
    assert run_apart(partial(take, 200), memory_mib=768) == 200
    words = (
        r"more than the 768 MiB of SCORELAKE_MONITOR_MEMORY_MIB, .* SCORELAKE_DRIFT_SAMPLE_ROWS; nothing was written"
    )
    with pytest.raises(Refused, match=words):
        run_apart(partial(take, 1_000), memory_mib=768)
    with pytest.raises(Refused, match=words):
        run_apart(partial(os._exit, 9), memory_mib=768)
