"""What is looked at after a fault: every row by number, every file by name, and what readers saw meanwhile."""

import json
import os
import time
from pathlib import Path
from typing import Any

from feature_repo.lake import Lake, read_lake
from tests.path.fault_steps import ROWS, fork

PARTIAL = """
select count(*)
from (select run_id, count(*) as rows from scores.spam group by run_id) as scored
left join ops.runs as runs on scored.run_id = runs.run_id
where runs.rows_out is distinct from scored.rows
"""


def read_on(lake: Lake, number: int) -> None:
    """Query until the trial is over: errors, runs that were seen in part, and seconds of each query."""
    found: dict[str, Any] = {"errors": [], "partial": 0, "seconds": []}
    while not (lake.home / "over").exists():
        started = time.perf_counter()
        try:
            with read_lake(lake) as connection:
                found["partial"] += connection.execute(PARTIAL).fetchall()[0][0]
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is looked for
            found["errors"].append(f"{type(error).__name__}: {error}")
        found["seconds"].append(time.perf_counter() - started)
        time.sleep(1)
    (lake.home / f"reader-{number}.json").write_text(json.dumps(found))


def start_readers(lake: Lake, count: int) -> list[int]:
    return [fork(lambda number=number: read_on(lake, number)) for number in range(count)]  # type: ignore[misc]


def end_readers(lake: Lake, readers: list[int]) -> dict[str, Any]:
    (lake.home / "over").touch()
    for reader in readers:
        os.waitpid(reader, 0)
    found = [json.loads((lake.home / f"reader-{number}.json").read_text()) for number in range(len(readers))]
    seconds = sorted(one for reader in found for one in reader["seconds"]) or [0.0]
    return {
        "queries": len(seconds),
        "errors": [error for reader in found for error in reader["errors"]],
        "runs seen in part": sum(reader["partial"] for reader in found),
        "median seconds": round(seconds[len(seconds) // 2], 3),
        "99 % seconds": round(seconds[int(len(seconds) * 0.99)], 3),
    }


def ask(lake: Lake, cycle: int) -> list[str]:
    """What is wrong with the lake now, counted in a process of its own."""
    file = lake.home / "found.json"

    def look() -> None:
        file.write_text(json.dumps(check(lake, cycle)))

    _, status = os.waitpid(fork(look), 0)
    if status:
        return ["it could not be looked at"]
    found: list[str] = json.loads(file.read_text())
    return found


CHECKS = {
    "comments lost at the door": ("select {expected} - count(*) from raw.comments where source = 'faults'"),
    "comments twice in the lake": ("select count(*) - count(distinct (comment_id, text_id)) from raw.comments"),
    "texts without features": (
        "select count(*) from raw.comments anti join features.comment_features using (comment_id, text_id)"
    ),
    "texts with features twice": (
        "select count(*) - count(distinct (comment_id, text_id, ingest_seq)) from features.comment_features"
    ),
    "comments lost on the way to a score": (
        "select count(*) from raw.comments anti join scores.spam using (comment_id, text_id)"
    ),
    "comments scored twice": (
        "select count(*) - count(distinct (comment_id, text_id, model_version)) from scores.spam"
    ),
    "comments twice in force": "select count(*) - count(distinct comment_id) from scores.spam_current",
    "comments of which another text is in force": (
        "select count(*) from (select comment_id, arg_max(text_id, (observed_at, ingest_seq)) as text_id "
        "from raw.comments group by comment_id) anti join scores.spam_current using (comment_id, text_id)"
    ),
    "leases that nobody gave back": "select count(*) from ops.leases",
}


def check(lake: Lake, cycle: int) -> list[str]:
    """Every count that is not zero, and files that nobody knows."""
    with read_lake(lake) as connection:
        counts: dict[str, Any] = {
            what: connection.execute(sql.format(expected=(cycle + 1) * ROWS)).fetchall()[0][0]
            for what, sql in CHECKS.items()
        }
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'lake'"
        ).fetchall()
        known = {
            path
            for schema, table in tables
            for row in connection.execute(
                "select data_file, delete_file from ducklake_list_files('lake', ?, schema => ?)", [table, schema]
            ).fetchall()
            for path in row
            if path
        }
        names = {Path(path).name for path in known} | {
            Path(path).name for (path,) in connection.execute(_KEPT).fetchall()
        }
    counts["files that nobody knows"] = len({file.name for file in Path(lake.storage.data).rglob("*.parquet")} - names)
    counts["files left in staging"] = len(list(lake.staging.glob("*")))
    return [f"{count} {what}" for what, count in counts.items() if count]


# Files of older snapshots, and those that wait to be deleted.
_KEPT = """
select data.path from (
    select path, path_is_relative from __ducklake_metadata_lake.ducklake_data_file
    union all
    select path, path_is_relative from __ducklake_metadata_lake.ducklake_delete_file
    union all
    select path, path_is_relative from __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion
) as data
"""
