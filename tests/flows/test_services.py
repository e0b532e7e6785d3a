"""What `scorelake up` keeps running."""

import sys
from pathlib import Path

import pytest

from flows import services
from flows.services import Service
from tests.flows.prefect_calls import wait_for


def test_a_log_that_has_grown_large_makes_way_while_its_program_writes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_LOG_BYTES", 100)
    log = tmp_path / "clock.log"
    ticking = "import itertools, time\nfor number in itertools.count(): print(number, flush=True); time.sleep(0.01)"
    service = Service("clock", (sys.executable, "-c", ticking), {}, tmp_path, log)
    mark = service.start()
    try:
        wait_for("a large log", lambda: log.stat().st_size > 200, 30)
        service.shorten_log()
        wait_for("a line after it", lambda: log.read_text().count("\n") > 2, 30)
    finally:
        if process := mark.find():
            process.kill()
            process.wait()
    before, after = (
        [int(line) for line in file.read_text().splitlines() if line] for file in (tmp_path / "clock.before.log", log)
    )
    assert before == list(range(len(before)))
    assert after[0] >= len(before), "nothing is said twice"
    assert log.stat().st_size < 10_000, "and it begins anew, without a hole"
