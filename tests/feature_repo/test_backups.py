"""Backups of small homes: what is in them, what is shared, and what happens to whatever gets in between."""

import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feature_repo.backups.restore import RestoreReceipt, RestoreRequest, restore_backup, verify_backup
from feature_repo.backups.store import Store, add_manifest, find_manifest, list_names, locate_content
from feature_repo.backups.take import BackupReceipt, BackupRequest, take_backup
from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.release import LaterRelease
from feature_repo.upkeep import purge_deleted

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


@pytest.fixture
def home(lake: Lake) -> Path:
    """A lake of three files, and some of every other kind of file."""
    insert(lake, "a", "b", "c")
    for name, text in {
        "scorelake.env": "SCORELAKE_AUTHOR_KEY=secret",
        "mlflow/artifacts/spam/model.skops": "a model",
        "inbox/comments/new.csv": "comment_id",
        "staging/run/rows.parquet": "half",
        "logs/up.log": "said",
        "up.lock": "",
        "prefect/server.log": "said",
    }.items():
        (lake.home / name).parent.mkdir(parents=True, exist_ok=True)
        (lake.home / name).write_text(text)
    (lake.home / "scorelake.env").chmod(0o600)
    for name in ("mlflow/mlflow.db", "prefect/prefect.db"):
        with closing(sqlite3.connect(lake.home / name)) as connection, connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("create table said (word)")
            connection.execute("insert into said values (?)", [name])
    return lake.home


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


def test_a_home_comes_back_without_what_belongs_to_processes(home: Path, tmp_path: Path) -> None:
    receipt = back_up(home, tmp_path / "backups")
    data = {path for path in list_paths(home) if path.startswith("lake/data/")}
    expected = {
        *data,
        "lake/catalog.sqlite",
        "mlflow/mlflow.db",
        "mlflow/artifacts/spam/model.skops",
        "inbox/comments/new.csv",
        "prefect/prefect.db",
    }
    assert len(data) >= 3
    restored = restore(tmp_path / "backups", tmp_path / "other" / "home")
    found = tmp_path / "other" / "home"
    assert list_paths(found) == expected
    assert read_names(Lake(found)) == ["a", "b", "c"]
    for name in ("mlflow/mlflow.db", "prefect/prefect.db"):
        assert read_word(found / name) == name
    assert (restored.files, restored.settings, restored.replaced) == (len(expected), "missing", None)
    assert (receipt.files, receipt.rounds, receipt.has_settings) == (len(expected), 1, False)
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["home"], "nothing is left beside it"


def test_the_key_of_the_authors_is_in_it_only_if_asked_for_and_for_its_owner_only(home: Path, tmp_path: Path) -> None:
    assert back_up(home, tmp_path / "backups", with_settings=True).has_settings
    restore(tmp_path / "backups", tmp_path / "restored")
    settings = tmp_path / "restored" / "scorelake.env"
    assert settings.read_text() == "SCORELAKE_AUTHOR_KEY=secret"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "backups").rglob("*") if path.is_dir()} == {0o700}
    contents = [path for path in (tmp_path / "backups" / "contents").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in contents} == {0o600}


def test_a_second_backup_copies_what_is_new(home: Path, tmp_path: Path) -> None:
    first = back_up(home, tmp_path / "backups")
    assert first.contents_copied == first.files
    again = back_up(home, tmp_path / "backups", "backup-2")
    assert (again.files, again.contents_copied, again.bytes_copied) == (first.files, 0, 0)
    insert(Lake(home), "d")
    third = back_up(home, tmp_path / "backups", "backup-3")
    assert (third.files, third.contents_copied) == (first.files + 1, 2), "the catalog, and the file of the new row"
    for name, names in {"backup-1": ["a", "b", "c"], "backup-3": ["a", "b", "c", "d"]}.items():
        restore(tmp_path / "backups", tmp_path / name, name=name)
        assert read_names(Lake(tmp_path / name)) == names


def test_old_backups_are_removed_with_what_they_alone_need(home: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "backups")
    for number in (1, 2, 3):
        insert(Lake(home), f"row {number}")
        receipt = back_up(home, store.folder, f"backup-{number}", keep=2)
    assert receipt.removed == ("backup-1",)
    assert list_names(store) == ["backup-2", "backup-3"]
    needed = {file.sha256 for name in list_names(store) for file in find_manifest(store, name).files}
    assert {path.parent.name + path.name for path in store.contents.glob("*/*")} == needed
    restore(store.folder, tmp_path / "restored", name="backup-2")
    assert read_names(Lake(tmp_path / "restored")) == ["a", "b", "c", "row 1", "row 2"]


def test_the_manifest_tells_sizes_digests_and_releases(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "backups")
    manifest = json.loads((tmp_path / "backups" / "manifests" / "backup-1.json").read_text())
    model = {file["path"]: file for file in manifest["files"]}["mlflow/artifacts/spam/model.skops"]
    assert (model["size_bytes"], model["sha256"]) == (7, hashlib.sha256(b"a model").hexdigest())
    assert (manifest["schema_version"], manifest["releases"]) == (1, RELEASES)
    assert manifest["made_at"] == "2026-11-20T12:00:00+00:00"


def call_once(work: Callable[[], None]) -> Callable[[int, int], None]:
    calls: list[None] = []

    def call(_done: int, _total: int) -> None:
        if not calls:
            calls.append(None)
            work()

    return call


def test_a_file_that_maintenance_deletes_meanwhile_has_the_lake_copied_anew(home: Path, tmp_path: Path) -> None:
    lake = Lake(home)

    def erase() -> None:
        with write_lake(lake, purpose="test") as connection:
            connection.execute("delete from ops.leases where name = 'b'")
        purge_deleted(lake, {"ops.leases": ("name",)}, before=None)

    receipt = back_up(home, tmp_path / "backups", on_progress=call_once(erase))
    assert receipt.rounds == 2
    restore(tmp_path / "backups", tmp_path / "restored")
    assert read_names(Lake(tmp_path / "restored")) == ["a", "c"]


def test_a_file_that_is_written_to_meanwhile_is_copied_anew(home: Path, tmp_path: Path) -> None:
    model = home / "mlflow/artifacts/spam/model.skops"

    def change(done: int, total: int) -> None:
        if done == total and model.read_text() == "a model":
            model.write_text("another model")

    receipt = back_up(home, tmp_path / "backups", on_progress=change)
    assert receipt.rounds == 2
    restore(tmp_path / "backups", tmp_path / "restored")
    assert (tmp_path / "restored/mlflow/artifacts/spam/model.skops").read_text() == "another model"


def test_a_home_that_keeps_changing_is_told(home: Path, tmp_path: Path) -> None:
    model = home / "mlflow/artifacts/spam/model.skops"

    def change(done: int, total: int) -> None:
        if done == total:
            model.write_text(model.read_text() + "!")

    with pytest.raises(Unavailable, match=r"kept changing while it was copied, 5 times: .*model\.skops was written to"):
        back_up(home, tmp_path / "backups", on_progress=change)
    with pytest.raises(BadData, match="no backups in"):
        restore(tmp_path / "backups", tmp_path / "restored")


def test_writers_go_on_while_files_are_copied(home: Path, tmp_path: Path) -> None:
    receipt = back_up(home, tmp_path / "backups", on_progress=call_once(lambda: insert(Lake(home), "later")))
    assert receipt.rounds == 1
    restore(tmp_path / "backups", tmp_path / "restored")
    assert read_names(Lake(tmp_path / "restored")) == ["a", "b", "c"]
    assert read_names(Lake(home)) == ["a", "b", "c", "later"]


@pytest.mark.parametrize("folder", ["home", "home/backups", "."])
def test_a_backup_within_the_home_is_refused(home: Path, tmp_path: Path, folder: str) -> None:
    with pytest.raises(BadData, match="would be lost together with"):
        back_up(home, tmp_path / folder)


def test_a_folder_with_other_things_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(BadData, match=r"expected an empty folder or one with backups, found \['cat.jpg'\]"):
        back_up(home, tmp_path / "photos")
    assert list_paths(tmp_path / "photos") == {"cat.jpg"}


def test_no_lake_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"no lake at .* nothing to back up"):
        back_up(tmp_path / "typo", tmp_path / "backups")


def damage(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage, "the content of lake/catalog.sqlite .* is damaged: expected SHA-256 "),
        (cut, "the contents of 1 of .* files of backup backup-1 are gone or of another size: lake/catalog.sqlite"),
        (Path.unlink, "the contents of 1 of .* files of backup backup-1 are gone or of another size"),
    ],
)
def test_a_damaged_backup_changes_nothing(home: Path, tmp_path: Path, harm: Callable[[Path], None], words: str) -> None:
    back_up(home, tmp_path / "backups")
    store = Store(tmp_path / "backups")
    (catalog,) = [file for file in find_manifest(store).files if file.path == "lake/catalog.sqlite"]
    harm(locate_content(store, catalog.sha256))
    before = {path: (home / path).read_bytes() for path in list_paths(home)}
    for attempt in (lambda: restore(store.folder, home, is_replacing=True), lambda: verify_backup(store.folder)):
        with pytest.raises(BadData, match=words):
            attempt()
    assert {path: (home / path).read_bytes() for path in list_paths(home)} == before
    assert not [path for path in tmp_path.iterdir() if "restoring" in path.name]


def test_a_manifest_that_was_changed_is_refused(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "backups")
    file = tmp_path / "backups" / "manifests" / "backup-1.json"
    file.write_text(file.read_text().replace("new.csv", "old.csv"))
    with pytest.raises(BadData, match="is damaged: it is not what was written"):
        restore(tmp_path / "backups", tmp_path / "restored")
    assert back_up(home, tmp_path / "backups", "backup-2").files, "the next one does not need it"


def test_a_backup_of_a_later_release_is_refused(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "backups")
    store = Store(tmp_path / "backups")
    later = replace(find_manifest(store), name="backup-2", schema_version=99, release="9.9.0")
    add_manifest(store, later)
    with pytest.raises(
        LaterRelease, match=r"of a lake at schema 99, by scorelake 9\.9\.0.*Install scorelake 9\.9\.0 or later"
    ):
        restore(tmp_path / "backups", tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_home_that_is_there_makes_way_only_if_told_and_is_kept(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "backups")
    insert(Lake(home), "later")
    with pytest.raises(BadData, match=r"expected no home at .*, or one with scorelake.env alone; found \['inbox'"):
        restore(tmp_path / "backups", home)
    receipt = restore(tmp_path / "backups", home, is_replacing=True)
    assert read_names(Lake(home)) == ["a", "b", "c"]
    assert (home / "scorelake.env").read_text() == "SCORELAKE_AUTHOR_KEY=secret", "the backup has none"
    assert receipt.settings == "kept"
    assert receipt.replaced == str(tmp_path / "home.before-backup-1")
    assert read_names(Lake(Path(receipt.replaced))) == ["a", "b", "c", "later"]


def test_a_home_with_settings_alone_is_filled_and_other_settings_are_kept(home: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    for with_settings, expected in ((False, "KEY=mine"), (True, "SCORELAKE_AUTHOR_KEY=secret")):
        back_up(home, tmp_path / "backups", f"backup-{with_settings:d}", with_settings=with_settings)
        new.mkdir()
        (new / "scorelake.env").write_text("KEY=mine")
        receipt = restore(tmp_path / "backups", new)
        assert (new / "scorelake.env").read_text() == expected
        new.rename(tmp_path / f"done-{with_settings}")
    assert receipt.replaced is not None
    assert (Path(receipt.replaced) / "scorelake.env").read_text() == "KEY=mine"


def test_a_home_that_is_being_written_is_not_replaced(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "backups")
    lake = Lake(home)
    with lake.catalog.hold("writer", "score spam", 0), pytest.raises(Unavailable, match="being written by score spam"):
        restore(tmp_path / "backups", home, is_replacing=True, wait_seconds=0)
    assert read_names(lake) == ["a", "b", "c"]


def restore_and_die(folder: Path, home: Path, files: int) -> None:
    def die(done: int, _total: int) -> None:
        if done == files:
            os.kill(os.getpid(), signal.SIGKILL)

    restore_backup(RestoreRequest(folder, home, is_replacing=True), on_progress=die)


def back_up_and_die(folder: Path, home: Path, files: int) -> None:
    def die(done: int, _total: int) -> None:
        if done == files:
            os.kill(os.getpid(), signal.SIGKILL)

    back_up(home, folder, on_progress=die)


def run_and_die(target: Callable[[Path, Path, int], None], *arguments: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def test_a_killed_backup_is_none_and_a_killed_restore_changes_nothing(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    run_and_die(back_up_and_die, folder, home, 5)
    assert list_names(Store(folder)) == []
    receipt = back_up(home, folder)
    assert 0 < receipt.contents_copied < receipt.files, "what the killed one has copied is used"
    insert(Lake(home), "later")
    before = {path: (home / path).read_bytes() for path in list_paths(home)}
    run_and_die(restore_and_die, folder, home, 5)
    assert {path: (home / path).read_bytes() for path in list_paths(home)} == before
    assert (tmp_path / ".home.restoring").exists()
    restore(folder, home, is_replacing=True)
    assert read_names(Lake(home)) == ["a", "b", "c"]
    assert not (tmp_path / ".home.restoring").exists()
