"""A scorer's credentials, on profile team: with them a model scores, and nobody becomes champion."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from feature_repo import catalogs
from feature_repo.lake import Lake
from feature_repo.storages import Storage
from feature_repo.storages.s3 import Bucket
from tests.flows.commands import Done, run_command
from tests.object_server import BUCKET, SCORER, ObjectServer, allow
from tests.services import make_database

pytestmark = pytest.mark.path

SCRIPTS = Path(catalogs.__file__).parent
POLICY = Path(__file__).parents[2] / "docs" / "s3" / "scorer-policy.json"
STORES = ("CATALOG", "MLFLOW", "FEATURE_REGISTRY")
Variables = dict[str, str]


class Team(NamedTuple):
    """Variables of who owns a lake, and of who only scores in it."""

    owner: Variables
    scorer: Variables


@pytest.fixture(scope="module")
def team(
    two_versions: Path,
    object_server: ObjectServer,
    tmp_path_factory: pytest.TempPathFactory,
    prefect_environment: Variables,
) -> Iterator[Team]:
    folder, place, name = tmp_path_factory.mktemp("team"), f"least-{secrets.token_hex(4)}", f"s_{secrets.token_hex(4)}"
    with ExitStack() as databases:
        stores = {store: databases.enter_context(make_database()) for store in STORES}
        settings = {
            **stores,
            "HOME": str(folder / "owner"),
            "DATA": f"s3://{BUCKET}/{place}",
            "S3_ENDPOINT": object_server.endpoint,
            "S3_ACCESS_KEY_ID": object_server.key_id,
            "S3_SECRET_ACCESS_KEY": object_server.secret_key,
            "WORKERS": "1",
        }
        owner = {f"SCORELAKE_{key}": value for key, value in settings.items()} | prefect_environment
        moved = run_command("migrate", str(shutil.copytree(two_versions, folder / "origin")), environment=owner)
        assert moved.returncode == 0, moved.stderr
        make_scorer(stores, name)
        allow(object_server, POLICY.read_text().replace("BUCKET", BUCKET).replace("PREFIX", place))
        theirs = {f"SCORELAKE_{key}": psycopg.conninfo.make_conninfo(at, user=name) for key, at in stores.items()}
        key = dict(zip(("SCORELAKE_S3_ACCESS_KEY_ID", "SCORELAKE_S3_SECRET_ACCESS_KEY"), SCORER, strict=True))
        yield Team(owner, {**owner, **theirs, **key, "SCORELAKE_HOME": str(folder / "scorer")})
        for at in stores.values():
            with psycopg.connect(at, autocommit=True) as connection:
                connection.execute(f"drop owned by {name}")
        with psycopg.connect(stores["CATALOG"], autocommit=True) as connection:
            connection.execute(f"drop role {name}")


def make_scorer(stores: Variables, name: str) -> None:
    for store, address in stores.items():
        script = "scorer_role.sql" if store == "CATALOG" else "reader_role.sql"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute((SCRIPTS / script).read_bytes())
            if store == "CATALOG":
                connection.execute(f"create role {name} login in role scorelake_scorer")


def run(variables: Variables, *arguments: str) -> Done:
    return run_command(*arguments, "--json", environment=variables)


def build_storage(team: Team) -> Storage:
    """The bucket as the owner reaches it."""
    bucket = Bucket(
        team.owner["SCORELAKE_DATA"],
        team.owner["SCORELAKE_S3_ENDPOINT"],
        key_id=team.owner["SCORELAKE_S3_ACCESS_KEY_ID"],
        secret_key=team.owner["SCORELAKE_S3_SECRET_ACCESS_KEY"],
    )
    return Lake(Path(team.owner["SCORELAKE_HOME"]), bucket=bucket).storage


def read_state(team: Team) -> object:
    """Who is champion by the ledger and by MLflow, and every file there is for the ledger."""
    ledger = run_command("sql", "from ops.promotions order by decided_at", "--format", "json", environment=team.owner)
    with psycopg.connect(team.owner["SCORELAKE_MLFLOW"]) as connection:
        aliases = connection.execute("select * from registered_model_aliases order by 1, 2, 3").fetchall()
        versions = connection.execute("select count(*) from model_versions").fetchall()
    storage = build_storage(team)
    files = sorted(one.address for one in storage.list_files(f"{storage.data}/ops/promotions"))
    return json.loads(ledger.stdout), aliases, versions, files


def test_the_scorer_scores(team: Team) -> None:
    done = run(team.scorer, "score", "sentiment")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_scored"] > 1_000
    again = run(team.scorer, "score", "sentiment")
    assert json.loads(again.stdout)["rows_scored"] == 0, again.stderr


def test_the_scorer_goes_on_after_a_promoter_that_died(team: Team) -> None:
    """What is left in the ledger's folder is not the scorer's to delete, and does not keep it from its work."""
    storage = build_storage(team)
    orphan = f"{storage.data}/ops/promotions/ducklake-orphan.parquet"
    storage.write(orphan, b"PAR1")
    with psycopg.connect(team.owner["SCORELAKE_CATALOG"], autocommit=True) as connection:
        connection.execute("insert into scorelake.holders values ('writer', 'dead', 'promote', 1, 'elsewhere', now())")
    done = run(team.scorer, "backfill", "spam")
    assert done.returncode == 0, done.stderr
    assert storage.measure(orphan) == 4
    storage.delete(orphan)


# Few functions: the lake is built for each process that runs some of them.
def test_the_scorer_promotes_nothing_and_leaves_nothing_half_written(team: Team) -> None:
    promoted = run(team.owner, "promote", "spam", "2", "--overrule", "its owner wants to")
    assert promoted.returncode == 0, promoted.stderr
    before = read_state(team)
    promote = ["promote", "spam", "1", "--overrule", "I want to"]
    rollback = ["rollback", "spam", "--reason", "I want to"]
    canary = ["canary", "spam", "--version", "1", "--share", "0.5", "--overrule", "I want to"]
    for arguments in (promote, rollback, canary):
        done = run(team.scorer, *arguments)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "this role may not write that, and nothing was written" in done.stderr
        assert read_state(team) == before
    # The bucket and the database each refuse it alone.
    for theirs, words in (("SCORELAKE_CATALOG", "may not change ops.promotions"), ("SCORELAKE_S3_", "403")):
        mixed = team.owner | {name: value for name, value in team.scorer.items() if name.startswith(theirs)}
        done = run(mixed, *promote)
        assert (done.returncode, words in done.stderr) == (3, True), done.stdout + done.stderr
        assert read_state(team) == before
    done = run(team.scorer, "train", "spam", "--again")
    assert done.returncode in {3, 4}, done.stdout + done.stderr
    assert "permission denied" in done.stderr
    assert read_state(team) == before
