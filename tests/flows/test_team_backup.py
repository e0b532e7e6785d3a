"""`scorelake backup` and `restore` of a lake on servers, while somebody writes to it: into a home, and into others."""

import json
import multiprocessing
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from feature_repo.lake import Lake
from feature_repo.storages.s3 import Bucket
from tests.flows.commands import run_command
from tests.flows.test_backup import check_is_one_instant, write_on
from tests.object_server import BUCKET
from tests.services import make_database
from training.registry import list_versions, resolve

pytestmark = pytest.mark.path

Variables = dict[str, str]


class Servers:
    """Databases and a place in a bucket for one lake."""

    def __init__(self, stack: ExitStack, bucket: Bucket, home: Path) -> None:
        names = ("catalog", "mlflow", "feature_registry")
        self.stores = {name: stack.enter_context(make_database()) for name in names}
        self.place = Bucket(
            f"s3://{BUCKET}/{secrets.token_hex(6)}", bucket.endpoint, key_id=bucket.key_id, secret_key=bucket.secret_key
        )
        self.home = home

    def list_settings(self) -> Variables:
        place = self.place
        settings = {
            **self.stores,
            "home": str(self.home),
            "data": place.address,
            "s3_endpoint": str(place.endpoint),
            "s3_access_key_id": str(place.key_id),
            "s3_secret_access_key": str(place.secret_key),
            "workers": "1",
        }
        return {f"SCORELAKE_{name.upper()}": value for name, value in settings.items()}

    def build_lake(self) -> Lake:
        return Lake(
            self.home,
            catalog_address=self.stores["catalog"],
            mlflow_address=self.stores["mlflow"],
            registry_address=self.stores["feature_registry"],
            bucket=self.place,
        )


@pytest.fixture
def servers(bucket: Bucket, tmp_path: Path) -> Iterator[tuple[Servers, Servers]]:
    """Those of a lake, and others for what is restored."""
    with ExitStack() as stack:
        yield Servers(stack, bucket, tmp_path / "team"), Servers(stack, bucket, tmp_path / "other")


def run(variables: Variables, *arguments: str, exit_code: int = 0) -> Any:
    done = run_command(*arguments, "--json", environment=variables)
    assert done.returncode == exit_code, done.stderr
    return json.loads(done.stdout) if exit_code == 0 else done.stderr


def describe_versions(lake: Lake) -> list[tuple[Any, ...]]:
    found = [one for model in ("sentiment", "spam") for one in list_versions(lake, model)]
    return [(one.model, one.version, one.aliases, one.descriptor, one.path.read_bytes()) for one in found]


def test_a_lake_on_servers_is_restored_into_a_home_and_into_other_servers(
    two_versions: Path, servers: tuple[Servers, Servers], tmp_path: Path, prefect_environment: Variables
) -> None:
    team, other = servers
    settings = prefect_environment | team.list_settings()
    run(settings, "migrate", str(shutil.copytree(two_versions, tmp_path / "origin")))
    first = back_up_while_somebody_writes(team, settings, str(tmp_path / "backups"))
    again = run(settings, "backup", str(tmp_path / "backups"))
    assert again["contents_copied"] < first["contents_copied"] / 2
    restore = ["restore", str(tmp_path / "backups"), "--name", first["name"]]

    home = {**prefect_environment, "SCORELAKE_HOME": str(tmp_path / "home"), "SCORELAKE_WORKERS": "1"}
    run(home, *restore)
    check_is_one_instant(Lake(tmp_path / "home"), team.build_lake())
    assert describe_versions(Lake(tmp_path / "home")) == describe_versions(team.build_lake())

    theirs = prefect_environment | other.list_settings()
    run(theirs, *restore)
    check_is_one_instant(other.build_lake(), team.build_lake())
    assert describe_versions(other.build_lake()) == describe_versions(team.build_lake())
    assert resolve(other.build_lake(), "spam").version == "1"
    assert not (other.home / "lake").exists()
    run(theirs, "apply")
    assert run(theirs, "score", "spam")["rows_scored"] == 0
    assert "tables already; name an empty database" in run(theirs, *restore, "--replace", exit_code=3)


def back_up_while_somebody_writes(team: Servers, settings: Variables, folder: str) -> Any:
    context = multiprocessing.get_context("spawn")
    has_begun, is_over = context.Event(), context.Event()
    writer = context.Process(target=write_on, args=(team.build_lake(), has_begun, is_over))
    writer.start()
    try:
        assert has_begun.wait(60)
        receipt = run(settings, "backup", folder)
    finally:
        is_over.set()
        writer.join(60)
    assert writer.exitcode == 0
    return receipt
