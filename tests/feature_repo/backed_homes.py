"""Small homes that are backed up and restored, and what tests look at in them."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feature_repo.backups.restore import RestoreReceipt, RestoreRequest, restore_backup
from feature_repo.backups.take import BackupReceipt, BackupRequest, take_backup
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RELEASES = {"scorelake": "0.1.0"}


def insert(lake: Lake, *names: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        for name in names:
            run_transaction(
                connection,
                lambda inside, name=name: inside.execute(  # type: ignore[misc]
                    "insert into ops.leases values (?, 'r', 'h', 1, now(), now(), null)", [name]
                ),
            )


def read_names(lake: Lake) -> list[str]:
    with read_lake(lake) as connection:
        return [name for (name,) in connection.execute("select name from ops.leases order by 1").fetchall()]


def back_up(home: Path, folder: Path, run_id: str = "backup-1", **options: Any) -> BackupReceipt:
    on_progress = options.pop("on_progress", lambda *_: None)
    return take_backup(Lake(home), BackupRequest(folder, run_id, NOW, RELEASES, **options), on_progress)


def restore(folder: Path, home: Path, **options: Any) -> RestoreReceipt:
    return restore_backup(RestoreRequest(folder, home, **options))


def list_paths(home: Path) -> set[str]:
    beside = ("-wal", "-shm", ".lock")
    paths = (path for path in home.rglob("*") if path.is_file() and not path.name.endswith(beside))
    return {path.relative_to(home).as_posix() for path in paths}


def read_word(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("select word from said").fetchone()[0])
