"""Backups of the home: one is taken, looked through, or restored.

Not flows: a backup must work when Prefect does not, and a restore brings Prefect's own state.
"""

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from feature_repo.backups.contents import RUNS
from feature_repo.backups.manifest import Manifest
from feature_repo.backups.restore import RestoreReceipt, RestoreRequest, restore_backup, verify_backup
from feature_repo.backups.store import Store, find_manifest, list_names
from feature_repo.backups.take import BackupReceipt, BackupRequest, take_backup
from feature_repo.catalog_copy import check_empty, import_catalog
from feature_repo.errors import Refused, Unavailable
from feature_repo.lake import Lake, run_transaction, write_lake
from feature_repo.ledger import Run, append_run
from flows.entry import Entry
from flows.progress import report_progress
from flows.report import Grid, Report
from flows.settings import read_settings
from flows.stage import begin_run, run_step
from flows.up_state import read_state
from scoring.lease import release_all
from training.transfer import copy_models, copy_runs

if TYPE_CHECKING:
    import duckdb

_PACKAGES: Final = ("scorelake", "duckdb", "duckdb-extension-ducklake", "feast", "mlflow", "prefect")
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ListedBackup:
    """One backup of a folder."""

    name: str
    made_at: datetime
    home: str
    scorelake: str
    schema_version: int
    files: int
    size_bytes: int
    has_settings: bool


@dataclass(frozen=True, slots=True)
class Backups:
    """The backups of a folder, the newest first; `is_verified` if all that the listed consist of was read."""

    folder: str
    is_verified: bool
    backups: tuple[ListedBackup, ...]


def backup(
    folder: Path, *, with_settings: bool = False, keep: int | None = None, now: datetime | None = None
) -> BackupReceipt:
    """Take a backup of the home; see `take_backup`. It stands in the ledger, and a failure is told like any run's.

    Parameters
    ----------
    now
        Instant of the run; the clock if not given.
    """
    releases = {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    with begin_run("backup", now=now) as entry:
        copy = partial(_copy_runs, entry.lake) if entry.lake.mlflow_address else None
        request = BackupRequest(folder, entry.run_id, entry.now, releases, with_settings, keep, copy)
        receipt = run_step(entry, lambda: take_backup(entry.lake, request, _report("back up files")))
        run_step(entry, lambda: _record(entry, receipt))
        return receipt


def restore(folder: Path, *, name: str | None = None, is_replacing: bool = False) -> RestoreReceipt:
    """Restore a backup into SCORELAKE_HOME, see `restore_backup`, and into the servers of a team's settings.

    Raises `Unavailable` also while `scorelake up` runs there, and `Refused` if the servers hold a lake already.
    """
    settings = read_settings()
    home, lake = settings.home, settings.lake
    if lake.is_shared:
        if not (lake.catalog_address and lake.mlflow_address and lake.bucket):
            raise Refused("a lake is restored into a home, or with SCORELAKE_CATALOG, _MLFLOW and _DATA into servers")
        check_empty(lake)
    state = read_state(home)
    if state is not None and state.is_alive:
        raise Unavailable(f"`scorelake up` runs on {home}; stop it before another home is put in its place")
    request = RestoreRequest(folder, home, name, is_replacing, settings.lock_wait_seconds)
    finish = partial(_move_in, lake) if lake.is_shared else _finish
    receipt = restore_backup(request, finish, _report("restore files"))
    is_told = receipt.settings == "missing" and settings.author_key is not None
    return replace(receipt, settings="in the environment") if is_told else receipt


def list_backups(folder: Path) -> Backups:
    """List the backups of a folder."""
    store = Store(folder.absolute())
    find_manifest(store)  # says so if there is none
    listed = [_describe(find_manifest(store, name)) for name in reversed(list_names(store))]
    return Backups(str(store.folder), is_verified=False, backups=tuple(listed))


def verify(folder: Path, *, name: str | None = None) -> Backups:
    """Read all of a backup, the newest if none is named; nothing is restored. Raises `BadData` if it is damaged."""
    manifest = verify_backup(folder, name, _report("verify files"))
    return Backups(str(folder.absolute()), is_verified=True, backups=(_describe(manifest),))


def build_backup_report(receipt: BackupReceipt) -> Report:
    """Build the report of a backup."""
    facts = {
        "backup": receipt.name,
        "folder": receipt.folder,
        "files": receipt.files,
        "MiB": receipt.size_bytes / _MIB,
        "copied, as the folder did not have them": receipt.contents_copied,
        "MiB copied": receipt.bytes_copied / _MIB,
        "writers waited seconds": receipt.held_seconds,
        "earlier backups removed": len(receipt.removed),
        "seconds": receipt.seconds,
    }
    key = (
        "scorelake.env is in it, with the key of the authors' hash: keep the folder as you keep a password"
        if receipt.has_settings
        else "scorelake.env is NOT in it: keep a copy of it elsewhere, or add --with-settings. Without its author key "
        "no author can be found again"
    )
    personal = "it holds texts and names that are erased or expire later; --keep N removes the oldest backups"
    return Report(f"{receipt.files:,} files backed up", facts, notes=(key, personal))


def build_restore_report(receipt: RestoreReceipt) -> Report:
    """Build the report of a restore, and what to do next."""
    facts = {
        "backup": receipt.name,
        "as of": receipt.made_at,
        "home": receipt.home,
        "files": receipt.files,
        "MiB": receipt.size_bytes / _MIB,
        "the home before": receipt.replaced,
        "scorelake.env": receipt.settings,
        "seconds": receipt.seconds,
    }
    notes = {
        "the author key is missing: put scorelake.env into the home, or set SCORELAKE_AUTHOR_KEY, before anything is "
        "ingested. Otherwise a new key is made, and every author gets another id": receipt.settings == "missing",
        f"delete {receipt.replaced} when you no longer need it": receipt.replaced,
        "next: scorelake apply, scorelake doctor, scorelake publish": True,
    }
    return Report(
        f"{receipt.files:,} files restored", facts, notes=tuple(said for said, is_so in notes.items() if is_so)
    )


def build_list_report(found: Backups) -> Report:
    """Build the list of backups."""
    rows = tuple(
        (one.name, f"{one.made_at:%Y-%m-%d %H:%M}", one.scorelake, one.files, one.size_bytes / _MIB, one.has_settings)
        for one in found.backups
    )
    header = ("backup", "as of (UTC)", "scorelake", "files", "MiB", "with scorelake.env")
    verb = "verified: every file is what was stored" if found.is_verified else "found"
    return Report(f"{len(rows):,} backups {verb}", {"folder": found.folder}, (Grid(header, rows),))


def _describe(manifest: Manifest) -> ListedBackup:
    return ListedBackup(
        name=manifest.name,
        made_at=manifest.made_at,
        home=manifest.home,
        scorelake=manifest.releases.get("scorelake", ""),
        schema_version=manifest.schema_version,
        files=len(manifest.files),
        size_bytes=manifest.size_bytes,
        has_settings=manifest.has_settings,
    )


def _finish(lake: Lake) -> None:
    """Give back the leases of runs that worked on the home that was backed up: none of them works on this one."""
    with write_lake(lake, purpose="restore") as connection:
        run_transaction(connection, release_all)


def _move_in(servers: Lake, restored: Lake) -> None:
    """Bring a restored lake to the servers of another: its catalog last, so that a kill leaves none there."""
    _finish(restored)
    target = replace(servers, home=restored.home)  # which gets its place when all is there
    storage, here = target.storage, restored.storage
    storage.prepare()
    for file in list(here.list_files(here.data)):
        storage.move(file.address, storage.data + file.address.removeprefix(here.data))
    copy_models(restored, target)
    import_catalog(restored, target)
    for folder in (restored.folder, restored.home / "mlflow"):
        shutil.rmtree(folder, ignore_errors=True)


def _copy_runs(lake: Lake, target: Path) -> None:
    """Write MLflow's store of a lake into a file."""
    with TemporaryDirectory(dir=target.parent) as folder:
        copy = Lake(Path(folder))
        copy_runs(lake, copy)
        (copy.home / RUNS).replace(target)


def _record(entry: Entry, receipt: BackupReceipt) -> None:
    details = {"folder": receipt.folder, "files": receipt.files, "size_bytes": receipt.size_bytes}
    ended_at = entry.now + timedelta(seconds=receipt.seconds)
    run = Run(receipt.name, "backup", entry.now, ended_at, bytes_written=receipt.bytes_copied, details=details)

    def record(connection: "duckdb.DuckDBPyConnection") -> None:
        append_run(connection, run)

    with write_lake(entry.lake, purpose="record a backup") as connection:
        run_transaction(connection, record)


def _report(stage: str) -> Callable[[int, int], None]:
    return lambda done, total: report_progress(stage, done, total)
