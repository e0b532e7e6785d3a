"""A team's estate, a host for each part: driver with Dask's scheduler and Prefect's server, workers, storage, database.

The driver runs `scorelake` as a user does. Only servers are shared: what lies below SCORELAKE_HOME is each host's own.
"""

import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

from feature_repo.databases import build_url
from feature_repo.lake import Lake, read_lake
from feature_repo.storages.s3 import Bucket
from tests.object_server import BUCKET, ObjectServer, open_client, serve_objects
from tests.path.namespaces import Host, make_hosts
from tests.postgres_server import give_away, make_database, run_postgres

WORKERS = ("worker-1", "worker-2")
_DATABASES = ("CATALOG", "FEATURE_REGISTRY", "MLFLOW")
_PROGRAMS = Path(sys.executable).parent
_SCHEDULER_PORT, _PREFECT_PORT = 8786, 4200
# A worker that is silent for so long is given up; without these Dask waits half a minute.
_PATIENCE = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s", "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}
_PARTITION_ROWS = 100
_WAIT_SECONDS = 120
_KNOWN = """
select path from __ducklake_metadata_lake.ducklake_data_file
union all select path from __ducklake_metadata_lake.ducklake_delete_file
"""


@dataclass(frozen=True, slots=True)
class TeamLake:
    """A lake on the estate's servers: the variables that lead a host to it, and how this machine sees it."""

    variables: Mapping[str, str]
    lake: Lake

    def count_staged(self) -> int:
        """How many partitions are done of runs that were not published."""
        files = self.lake.storage.list_files(self.lake.storage.staging)
        return sum(bool(re.search(r"/\d+\.json$", file.address)) for file in files)

    def list_strays(self) -> list[str]:
        """Files among the lake's data that its catalog does not know."""
        with read_lake(self.lake) as connection:
            known = {path.rpartition("/")[2] for (path,) in connection.execute(_KNOWN).fetchall()}
        files = (file.address for file in self.lake.storage.list_files(self.lake.storage.data))
        return [address for address in files if address.rpartition("/")[2] not in known]


@dataclass(frozen=True, slots=True)
class Command:
    """A `scorelake` that was started on the driver."""

    process: Popen[bytes]
    log: Path

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(timeout=_WAIT_SECONDS)

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text()


@dataclass(frozen=True, slots=True)
class Estate:
    """The hosts and their servers, and a lake with champions that is copied and never scored itself."""

    hosts: Mapping[str, Host]
    database: str
    storage: ObjectServer
    folder: Path
    lake: TeamLake

    @property
    def scheduler_log(self) -> Path:
        """What Dask's scheduler says."""
        return self.folder / "scheduler.log"

    def copy_lake(self, *, patience: str = "") -> TeamLake:
        """A copy of the lake, the test's own; `patience` are words of libpq for the address of the catalog."""
        copied = _describe_lake(self.database, self.storage, self.folder, self.lake.variables)
        client, old, new = open_client(self.storage), _read_prefix(self.lake), _read_prefix(copied)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{old}/"):
            for one in page.get("Contents", ()):
                key = new + one["Key"].removeprefix(old)
                client.copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": one["Key"]})
        catalog = copied.variables["SCORELAKE_CATALOG"] + patience
        return TeamLake({**copied.variables, "SCORELAKE_CATALOG": catalog}, copied.lake)

    @contextmanager
    def start(self, lake: TeamLake, *arguments: str, **settings: str) -> Iterator[Command]:
        """Start `scorelake` on the driver; it is killed at the end of the block if it has not ended."""
        driver, log = self.hosts["driver"], self.folder / f"{arguments[0]}-{secrets.token_hex(3)}.log"
        environment = _build_environment({**lake.variables, **settings})
        with driver.run(str(_PROGRAMS / "scorelake"), *arguments, log=log, environment=environment) as process:
            yield Command(process, log)

    def run(self, lake: TeamLake, *arguments: str, **settings: str) -> Command:
        """Run `scorelake` on the driver to its end."""
        with self.start(lake, *arguments, **settings) as command:
            command.wait()
        return command

    @contextmanager
    def serve_dask(self) -> Iterator[str]:
        """A scheduler on the driver, and a worker on each of its hosts; gives the scheduler's address."""
        with ExitStack() as running:
            driver = self.hosts["driver"]
            running.enter_context(
                self._run_dask(driver, "scheduler", "--port", str(_SCHEDULER_PORT), log=self.scheduler_log)
            )
            address = f"tcp://{driver.address}:{_SCHEDULER_PORT}"
            for name in WORKERS:
                folder = str(self.folder / "home" / "dask")
                options = (address, "--nthreads", "1", "--no-nanny", "--name", name, "--local-directory", folder)
                log = self.folder / f"{name}.log"
                running.enter_context(self._run_dask(self.hosts[name], "worker", *options, log=log))
            wait_for(lambda: self.scheduler_log.read_text().count("Register worker") == len(WORKERS))
            yield address

    @contextmanager
    def _run_dask(self, host: Host, *arguments: str, log: Path) -> Iterator[None]:
        log.unlink(missing_ok=True)
        command = (str(_PROGRAMS / "dask"), *arguments, "--host", host.address, "--no-dashboard")
        with host.run(*command, log=log, environment=_build_environment(_PATIENCE)):
            yield


@contextmanager
def _serve_postgres(host: Host) -> Iterator[str]:
    """Start a server that lets in whoever reaches the host; its address, without a database."""
    server = f"postgres://postgres@{host.address}"
    rules, settings = (
        "host all all 0.0.0.0/0 trust\n",
        {"listen_addresses": host.address, "unix_socket_directories": ""},
    )
    # Where its user, too, may look: a test's own folder is closed to others.
    with TemporaryDirectory(prefix="scorelake-postgres-") as folder:
        give_away(Path(folder))
        with run_postgres(Path(folder), f"{server}/postgres", rules=rules, settings=settings, wrap=host.wrap):
            yield server


@contextmanager
def build_estate(origin: Path, folder: Path) -> Iterator[Estate]:
    """Build an estate, and move the lake of a home into it by `scorelake migrate`."""
    with ExitStack() as built:
        hosts = built.enter_context(make_hosts(("driver", *WORKERS, "storage", "database"), folder / "home"))
        database = built.enter_context(_serve_postgres(hosts["database"]))
        at = hosts["storage"]
        storage = built.enter_context(serve_objects(folder / "objects", host=at.address, wrap=at.wrap))
        variables = {
            "SCORELAKE_PREFECT": make_database(database),
            "SCORELAKE_REDIS": f"{hosts['database'].address}:6379",
            "SCORELAKE_PLAIN_HOSTS": ",".join(host.address for host in hosts.values()),
        }
        lake = _describe_lake(database, storage, folder, variables)
        estate = Estate(hosts, database, storage, folder, lake)
        built.enter_context(_serve_prefect(estate))
        moved = estate.run(lake, "migrate", str(origin), "--json")
        assert moved.process.returncode == 0, moved.said
        yield estate


@contextmanager
def _serve_prefect(estate: Estate) -> Iterator[None]:
    """Prefect's server on the driver's loopback, its state in the database; `PREFECT_API_URL` of all commands."""
    own = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": build_url(estate.lake.variables["SCORELAKE_PREFECT"], "asyncpg"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(estate.folder / "home" / "prefect"),
    }
    options = ("server", "start", "--host", "127.0.0.1", "--port", str(_PREFECT_PORT), "--no-services")
    driver, log = estate.hosts["driver"], estate.folder / "prefect.log"
    with driver.run(str(_PROGRAMS / "prefect"), *options, log=log, environment=_build_environment(own)):
        yield


def _describe_lake(database: str, storage: ObjectServer, folder: Path, like: Mapping[str, str]) -> TeamLake:
    """A lake at a place of its own: empty databases, or copies of those of another one."""
    named = {
        f"SCORELAKE_{name}": make_database(database, like.get(f"SCORELAKE_{name}", "template1")) for name in _DATABASES
    }
    place = f"s3://{BUCKET}/{secrets.token_hex(4)}"
    variables = {
        "SCORELAKE_PROFILE": "team",
        "SCORELAKE_AUTHOR_KEY": "a key for tests",
        "SCORELAKE_HOME": str(folder / "home"),
        "SCORELAKE_S3_ENDPOINT": storage.endpoint,
        "SCORELAKE_S3_ACCESS_KEY_ID": storage.key_id,
        "SCORELAKE_S3_SECRET_ACCESS_KEY": storage.secret_key,
        "SCORELAKE_PARTITION_ROWS": str(_PARTITION_ROWS),
        "PREFECT_API_URL": f"http://127.0.0.1:{_PREFECT_PORT}/api",
        **like,
        **named,
        "SCORELAKE_DATA": place,
    }
    bucket = Bucket(place, storage.endpoint, key_id=storage.key_id, secret_key=storage.secret_key)
    here = Lake(folder / "here", catalog_address=named["SCORELAKE_CATALOG"], bucket=bucket)
    return TeamLake(variables, here)


def _read_prefix(lake: TeamLake) -> str:
    return lake.variables["SCORELAKE_DATA"].removeprefix(f"s3://{BUCKET}/")


def _build_environment(own: Mapping[str, str]) -> dict[str, str]:
    """This process's variables without those of the product and of Prefect, and a host's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCORELAKE_", "PREFECT_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **own}


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, for two minutes at most."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
