"""Restoring small homes: all of one or nothing, whatever was harmed, is in the way, or dies."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from feature_repo.backups.restore import RestoreRequest, restore_backup, verify_backup
from feature_repo.backups.store import Store, add_manifest, find_manifest, list_names, locate_content
from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake
from feature_repo.release import LaterRelease
from tests.feature_repo.backed_homes import back_up, insert, list_paths, read_names, restore


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
