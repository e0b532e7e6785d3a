"""Backups of small homes: what is in them, what is shared, and what happens to whatever gets in between."""

import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_repo.backups.store import Store, find_manifest, list_names
from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, write_lake
from feature_repo.upkeep import purge_deleted
from tests.feature_repo.backed_homes import RELEASES, back_up, insert, list_paths, read_names, read_word, restore


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
