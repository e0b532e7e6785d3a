"""Files on S3: written whole or not at all, moved, listed, deleted; and a lake whose files are there."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake, run_transaction, write_lake
from feature_repo.ledger import Run
from feature_repo.leftovers import delete_leftovers, find_leftovers
from feature_repo.publication import Publication, publish_run
from feature_repo.storages import Storage
from feature_repo.storages.local import LocalStorage
from feature_repo.storages.s3 import Bucket, S3Storage
from feature_repo.sweep import sweep_files
from feature_repo.traces import Traces
from feature_repo.upkeep import find_broken_files, list_files, purge_deleted

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    found: Storage = LocalStorage(tmp_path / "home")
    if request.param == "s3":
        found = S3Storage(request.getfixturevalue("bucket"), tmp_path / "cache")
    found.prepare()
    return found


@pytest.fixture
def shared(bucket: Bucket, seed_home: Path, tmp_path: Path) -> Iterator[Lake]:
    """A lake with all its tables, whose files are on S3."""
    from tests.conftest import migrate_all  # noqa: PLC0415 - as the fixtures do

    lake = Lake(tmp_path / "home", bucket=bucket)
    migrate_all(lake)
    return lake


def list_names(storage: Storage, folder: str) -> list[str]:
    return sorted(file.address.removeprefix(f"{folder}/") for file in storage.list_files(folder))


def test_what_was_written_is_read_listed_measured_and_deleted(storage: Storage) -> None:
    folder = f"{storage.staging}/run"
    storage.write(f"{folder}/plan.json", b"one")
    storage.write(f"{folder}/deep/er/part.json", b"four")
    storage.write(f"{folder}/plan.json", b"two")
    storage.write(f"{storage.staging}/runner/plan.json", b"another's")
    assert storage.read(f"{folder}/plan.json") == b"two"
    assert storage.measure(f"{folder}/deep/er/part.json") == 4
    assert list_names(storage, folder) == ["deep/er/part.json", "plan.json"]
    assert storage.list_folders(storage.staging) == ["run", "runner"]
    assert storage.list_folders(f"{storage.staging}/nowhere") == []
    storage.delete(folder)
    assert list_names(storage, storage.staging) == ["runner/plan.json"]
    assert storage.measure(f"{folder}/plan.json") is None
    storage.delete(folder)
    with pytest.raises(FileNotFoundError):
        storage.read(f"{folder}/plan.json")


def test_a_draft_is_sent_whole_at_its_end(storage: Storage) -> None:
    file = f"{storage.staging}/run/rows.parquet"
    with storage.open_draft(file) as draft:
        draft.write_bytes(b"rows")
    assert storage.read(file) == b"rows"


def test_a_file_of_this_host_and_one_of_the_storage_are_moved(storage: Storage, tmp_path: Path) -> None:
    staging = tmp_path / "home" / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    (staging / "here.parquet").write_bytes(b"here")
    storage.write(f"{storage.staging}/run/there.parquet", b"there")
    target = f"{storage.data}/t/day=1/run"
    assert storage.move(str(staging / "here.parquet"), f"{target}/here.parquet") == f"{target}/here.parquet"
    storage.move(f"{storage.staging}/run/there.parquet", f"{target}/there.parquet")
    assert {name: storage.read(f"{target}/{name}") for name in list_names(storage, target)} == {
        "here.parquet": b"here",
        "there.parquet": b"there",
    }
    assert list_names(storage, storage.staging) == []
    assert list(staging.rglob("*.parquet")) == []


def test_a_file_is_fetched_as_it_is_now(storage: Storage) -> None:
    file = f"{storage.artifacts}/1/model.skops"
    with pytest.raises(FileNotFoundError):
        storage.fetch(file)
    for content in (b"first", b"first", b"second"):
        storage.write(file, content)
        assert storage.fetch(file).read_bytes() == content


@pytest.mark.parametrize("address", ["s3://bucket", "s3://ab/prefix", "bucket/prefix", "gs://bucket/prefix"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadData, match="lie at s3://bucket/prefix, found"):
        Bucket(address)


def test_a_wrong_bucket_key_or_server_is_told_without_the_key(bucket: Bucket, tmp_path: Path) -> None:
    wrong = {
        "there is no bucket": replace(bucket, address="s3://no-such-bucket/prefix"),
        "check bucket, key and endpoint": replace(bucket, key_id="nobody"),
    }
    for words, one in wrong.items():
        with pytest.raises(BadData, match=words) as told:
            S3Storage(one, tmp_path).prepare()
        assert str(bucket.secret_key) not in str(told.value) + repr(one)
    with pytest.raises(Unavailable, match="does not answer"):
        S3Storage(replace(bucket, endpoint="http://127.0.0.1:1"), tmp_path).prepare()


def insert(lake: Lake, name: str) -> None:
    with write_lake(lake, purpose="test") as connection:
        connection.execute(
            "insert into ops.leases by name select $name as name, 'r' as run_id, 'h' as host, 1 as process_id, "
            "now() as acquired_at, now() as expires_at",
            {"name": name},
        )


def read_names(lake: Lake, *, is_locked: bool = False) -> list[str]:
    with read_lake(lake, is_locked=is_locked) as connection:
        return [row[0] for row in connection.execute("select name from ops.leases order by name").fetchall()]


def list_objects(lake: Lake) -> set[str]:
    return {file.address for file in lake.storage.list_files(lake.storage.data)}


def publish(lake: Lake, run_id: str, *, kills: bool = False) -> None:
    file = f"{lake.storage.staging}/{run_id}/0.parquet"

    def die(_: object) -> None:
        if kills:
            os.kill(os.getpid(), signal.SIGKILL)

    with write_lake(lake, purpose=f"publish {run_id}") as connection:
        with lake.storage.open_draft(file) as draft:
            connection.execute(
                f"copy (select '{run_id}' as name, 'r' as run_id, 'h' as host, 1::bigint as process_id, now() as "
                "acquired_at, now() as expires_at, null::timestamptz as process_started_at) "
                f"to '{draft}' (format parquet)"
            )
        publish_run(connection, lake, Publication(Run(run_id, "test", NOW, NOW), "day=1", {"ops.leases": [file]}), die)


def publish_and_die(lake: Lake) -> None:
    publish(lake, "killed", kills=True)


def test_rows_and_registered_files_are_read_and_a_locked_reader_reads_them_too(shared: Lake) -> None:
    insert(shared, "a")
    publish(shared, "b")
    assert read_names(shared) == read_names(shared, is_locked=True) == ["a", "b"]
    assert list_names(shared.storage, shared.storage.staging) == []
    assert not Path(shared.folder / "data").exists()
    with read_lake(shared) as connection:
        assert find_broken_files(shared, connection, "ops.leases") == []
        shown = connection.execute("select list(secret_string) from duckdb_secrets()").fetchall()
    assert str(shared.bucket and shared.bucket.secret_key) not in str(shown)


def test_a_file_that_is_gone_is_found(shared: Lake) -> None:
    insert(shared, "a")
    with read_lake(shared) as connection:
        [file] = list_files(connection, "ops.leases")
        shared.storage.delete(file.path)
        assert find_broken_files(shared, connection, "ops.leases") == [file.path]


def test_a_killed_publication_leaves_no_orphan(shared: Lake) -> None:
    publish(shared, "a")
    before = list_objects(shared)
    process = multiprocessing.get_context("spawn").Process(target=publish_and_die, args=(shared,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    killed = list_objects(shared) - before
    assert len(killed) == 2, "its file, and that of the ledger"
    publish(shared, "b")
    assert list_objects(shared) & killed == set()
    assert before < list_objects(shared)
    assert read_names(shared) == ["a", "b"]


def test_a_purge_deletes_the_objects_that_no_snapshot_needs(shared: Lake) -> None:
    before = list_objects(shared)
    insert(shared, "a")
    with write_lake(shared, purpose="test") as connection:
        run_transaction(connection, lambda inside: inside.execute("delete from ops.leases"))
    assert purge_deleted(shared, {"ops.leases": ("name",)}, before=None).files_deleted
    assert list_objects(shared) == before


def test_a_trace_goes_out_of_a_models_files_too(shared: Lake) -> None:
    note, other = (f"{shared.storage.artifacts}/1/{name}.md" for name in ("note", "other"))
    shared.storage.write(note, b"it fails at UgZebra, among others")
    shared.storage.write(other, b"nothing")
    traces = Traces(frozenset({"UgZebra"}), frozenset())
    assert sweep_files(shared, traces, is_dry=True).changed == [note]
    assert b"UgZebra" in shared.storage.read(note)
    assert sweep_files(shared, traces).changed == [note]
    assert b"UgZebra" not in shared.storage.read(note)
    assert shared.storage.read(other) == b"nothing"


def test_what_dead_runs_staged_goes_after_the_horizon(shared: Lake) -> None:
    shared.storage.write(f"{shared.storage.staging}/score-spam-1/plan.json", b"{}")
    now = datetime.now(UTC)
    assert find_leftovers(shared, before=now - timedelta(hours=1)) == []
    assert find_leftovers(shared, before=now + timedelta(hours=1), live_runs=["score-spam-1"]) == []
    assert delete_leftovers(shared, before=now + timedelta(hours=1)) == 1
    assert list_names(shared.storage, shared.storage.staging) == []
