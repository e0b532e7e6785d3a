"""The steps that faults are made in, and the processes that they run in.

The driver of a trial never opens the lake: each step runs in a process forked from it, which has its libraries already.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import feast  # noqa: F401 - imported before forking
import mlflow  # noqa: F401 - the same
import sklearn.multiclass  # noqa: F401 - the same
import skops.io  # noqa: F401 - the same

from feature_repo.compaction import compact_tables
from feature_repo.contracts import list_expiring
from feature_repo.errors import ScorelakeError
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from feature_repo.upkeep import purge_deleted
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest
from scoring.published import publish_file
from scoring.score import ScoreOptions, score_owed

START = datetime(2026, 10, 1, tzinfo=UTC)
ROWS = 40
Step = Callable[[Lake, int], None]


def ingest(lake: Lake, cycle: int) -> None:
    """Bring in the comments of a cycle; every third of them is an edit of one of the cycle before."""
    file = lake.home / f"cycle-{cycle}.csv"
    at = (START + timedelta(hours=cycle)).isoformat()
    lines = ["comment_id,text,published_at,observed_at"]
    for number in range(ROWS):
        owner = cycle - 1 if number % 3 == 0 and cycle else cycle
        lines.append(f"fault-{owner}-{number},look at number {number} of {cycle}!,{at},{at}")
    file.write_text("\n".join(lines))
    request = IngestRequest(
        kind="comments",
        paths=(file,),
        mapping=read_mapping(),
        source="faults",
        run_id=name("ingest"),
        now=START + timedelta(hours=cycle),
        author_key=b"a key for tests",
    )
    ingest_files(lake, request)


def materialize(lake: Lake, cycle: int) -> None:
    materialize_features(lake, run_id=name("materialize"), now=START + timedelta(hours=cycle))


def score(lake: Lake, cycle: int, *, partition_rows: int = 10, workers: int = 1) -> None:
    options = ScoreOptions(partition_rows, LocalEngine(workers), disk_reserve_mib=0)
    now, run_id = START + timedelta(hours=cycle), name("score-spam")
    score_owed(lake, ScoreRequest("spam"), run_id=run_id, now=now, options=options)


def publish(lake: Lake, _cycle: int) -> None:
    publish_file(lake, run_id=name("publish"))


def maintain(lake: Lake, cycle: int) -> None:
    compact_tables(lake)
    purge_deleted(lake, list_expiring(), before=datetime.now(UTC) - timedelta(seconds=30))


def name(kind: str) -> str:
    return f"{kind}-{time.time_ns()}-{os.getpid()}"


STEPS: dict[str, Step] = {
    "ingest": ingest,
    "materialize": materialize,
    "score": score,
    "publish": publish,
    "maintain": maintain,
}


def fork(work: Callable[[], None]) -> int:
    """Run in a process of its own; an error of ours ends it with its exit code, any other one with 1, told."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setpgid(0, 0)
        work()
        code = 0
    except ScorelakeError as error:
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - nothing may leave the fork
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
