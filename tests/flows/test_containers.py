"""The container files: what they promise, and that their commands work with their settings, as plain processes."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
import yaml

from flows.cli import app
from flows.deployments import POOL
from flows.server import end_process, find_free_port
from flows.settings import Settings
from scoring.serving.keys import hash_key
from tests.flows.prefect_calls import call, wait_for
from tests.object_server import ObjectServer
from tests.services import find_redis, make_database

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name for name, one in SERVICES.items() if "build" in one}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MANIFESTS = [
    document
    for file in sorted((ROOT / "docs" / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
IMAGE = f"scorelake:{version('scorelake')}"
SECRETS = {
    "POSTGRES_PASSWORD": "not-asked-for",
    "REDIS_PASSWORD": "not-asked-for",
    "S3_ACCESS_KEY": ObjectServer("").key_id,
    "S3_SECRET_KEY": ObjectServer("").secret_key,
    "PREFECT_PASSWORD": "asked-for",
    "MLFLOW_PASSWORD": "asked-for, too",
    "MLFLOW_FORMS_KEY": "signs",
    "SCORELAKE_AUTHOR_KEY": "a key for tests",
    "SCORELAKE_API_KEYS": hash_key("the client's"),
}
SETTINGS = {f"SCORELAKE_{name.upper()}" for name in Settings.model_fields}


def read_image_environment() -> dict[str, str]:
    """The variables of the image that runs, the last one in the file."""
    last = DOCKERFILE.rpartition("FROM ")[2].replace("\\\n", " ")
    lines = [line for line in last.splitlines() if line.startswith("ENV ")]
    return dict(word.split("=", 1) for line in lines for word in shlex.split(line.removeprefix("ENV ")))


def find_containers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in {"containers", "initContainers"}:
                yield from value
            else:
                yield from find_containers(value)
    if isinstance(node, list):
        for value in node:
            yield from find_containers(value)


CONTAINERS = [container for document in MANIFESTS for container in find_containers(document)]


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for one in SERVICES.values() for port in one.get("ports", ())]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)


def test_whatever_keeps_data_asks_who_is_there() -> None:
    assert "--requirepass" in " ".join(SERVICES["redis"]["command"])
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= SERVICES["s3"]["environment"].keys()
    assert SERVICES["prefect"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
    assert SERVICES["rest"]["environment"]["SCORELAKE_API_KEYS"]
    assert "--app-name=basic-auth" in SERVICES["mlflow"]["command"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_tells_whether_it_is_well_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    if name in {"setup", "bucket"}:  # they end by themselves, and others wait for that
        assert service["restart"] == "no"
        waiting = {"condition": "service_completed_successfully"}
        assert SERVICES["worker"]["depends_on"]["setup"] == waiting
        assert all(SERVICES[other]["depends_on"]["bucket"] == waiting for other in ("setup", "mlflow"))
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


def test_no_secret_stands_in_a_file() -> None:
    wanted = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert wanted == set(SECRETS)
    assert re.findall(r"\$\{\w+(?!\w|:\?)", (ROOT / "compose.yaml").read_text()) == [], "each is asked for in words"
    assert not [one for one in MANIFESTS if one["kind"] == "Secret"]


def test_settings_are_those_of_the_program() -> None:
    named = {name for one in SERVICES.values() for name in one.get("environment", {})} | set(read_image_environment())
    named |= {variable["name"] for container in CONTAINERS for variable in container.get("env", ())}
    assert {name for name in named if name.startswith("SCORELAKE_")} <= SETTINGS


def test_every_image_has_a_release_and_ours_is_this_one() -> None:
    images = {name: one["image"] for name, one in SERVICES.items()}
    assert {images[name] for name in OURS} | {container["image"] for container in CONTAINERS} == {IMAGE}
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", image) for image in images.values()), images


def test_the_image_holds_every_package_and_runs_as_nobody_special() -> None:
    for package in ("feature_repo", "training", "scoring", "flows"):
        assert f"COPY {package} {package}" in DOCKERFILE
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert DOCKERFILE.count("uv sync --frozen --no-dev --extra team") == 2, "what uv.lock says, and nothing else"
    assert "HEALTHCHECK" in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert {f"!{name}" for line in copied for name in line.split()} <= set(ignored)


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_have_no_privileges(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one["name"])
def test_containers_on_kubernetes_are_bounded_and_have_no_privileges(container: dict[str, Any]) -> None:
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert container["resources"]["limits"]["memory"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.parametrize("document", MANIFESTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_manifests_are_what_kubernetes_takes(document: dict[str, Any]) -> None:
    for one in list_known(document):
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_a_mistake_in_a_manifest_is_found() -> None:
    (worker,) = [one for one in MANIFESTS if one["kind"] == "Deployment"]
    mistaken = {**worker, "spec": {**worker["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="'replica' was unexpected"):
        kubernetes_validate.validate(mistaken, kubernetes_validate.latest_version(), strict=True)


def list_known(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What Kubernetes itself has a schema for: of a DaskCluster, the pods and the service that it is made of."""
    if document["kind"] != "DaskCluster":
        return [document]
    spec = document["spec"]
    parts = (
        ("Pod", spec["worker"]["spec"]),
        ("Pod", spec["scheduler"]["spec"]),
        ("Service", spec["scheduler"]["service"]),
    )
    return [{"apiVersion": "v1", "kind": kind, "metadata": {"name": "dask"}, "spec": part} for kind, part in parts]


def test_a_worker_has_the_same_host_after_a_restart() -> None:
    """A lease of another host is waited for until its time is over, one of this host only while its process lives."""
    (worker,) = [one for one in MANIFESTS if one["kind"] == "Deployment"]
    assert SERVICES["worker"]["hostname"]
    assert worker["spec"]["template"]["spec"]["hostname"]


def test_pods_on_kubernetes_are_not_root() -> None:
    pods = [one for document in MANIFESTS for one in find_pods(document)]
    assert len(pods) == 4
    assert all(pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"] for pod in pods)


def find_pods(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        for value in node.values():
            yield from find_pods(value)


def test_commands_are_those_of_the_program() -> None:
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    texts = [" ".join(map(str, one.get("command", ()))) for one in (*SERVICES.values(), *CONTAINERS)]
    used = {name for text in texts for name in re.findall(r"scorelake,? (?!--)(\w+)", text)}
    assert {"apply", "deploy", "backup"} <= used <= commands
    pools = {name for text in texts for name in re.findall(r"--pool (\w+)", text)}
    assert pools == {POOL}


class Containers:
    """The services of compose.yaml as plain processes: same commands, same settings, other addresses."""

    def __init__(self, folder: Path, addresses: dict[str, str]) -> None:
        self.folder, self.addresses, self.used = folder, addresses, set[str]()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SCORELAKE_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        image = {name: self.fill(value) for name, value in read_image_environment().items() if name != "PATH"}
        self.environment = {**kept, **image, "PATH": path}

    def fill(self, text: str) -> str:
        """What Compose puts in the place of variables, and this test in the place of addresses."""
        said = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: SECRETS[found[1]], text).replace("$$", "$")
        for theirs, ours in self.addresses.items():
            if theirs in said:
                said = said.replace(theirs, ours)
                self.used.add(theirs)
        return said

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        service = SERVICES[name]
        for config in service.get("configs", ()):
            written = Path(self.fill(config["target"]))
            written.write_text(self.fill(COMPOSE["configs"][config["source"]]["content"]))
        own = {key: self.fill(value) for key, value in service.get("environment", {}).items()}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [self.fill(word) for word in service["command"]],
                cwd=ROOT,
                env={**self.environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.processes[name]

    def wait_until_well(self, name: str) -> None:
        check = [self.fill(word) for word in SERVICES[name]["healthcheck"]["test"][1:]]

        def is_well() -> bool:
            assert self.processes[name].poll() is None, self.read_log(name)
            found = re.search(r"127\.0\.0\.1:(\d+)", check[-1])
            assert found
            with socket.create_connection(("127.0.0.1", int(found[1])), timeout=5):  # or wait_for tries again
                pass
            return subprocess.run(check, env=self.environment, capture_output=True).returncode == 0

        wait_for(f"the health of {name}", is_well)

    def read_log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def end(self) -> None:
        for process in reversed(self.processes.values()):
            end_process(process)


@pytest.fixture
def containers(object_server: ObjectServer, tmp_path: Path) -> Iterator[Containers]:
    prefect, mlflow, health, rest = (find_free_port() for _ in range(4))
    with ExitStack() as stack:
        names = ("prefect", "lake", "features", "mlflow_auth", "mlflow")  # no name begins one that comes after it
        databases = {name: stack.enter_context(make_database()) for name in names}
        addresses = {
            **{
                f"scorelake:not-asked-for@postgres:5432/{name}": address.partition("://")[2]
                for name, address in databases.items()
            },
            "redis:6379,password=not-asked-for": stack.enter_context(find_redis()),
            "http://s3:8333": object_server.endpoint,
            "/data": str(tmp_path / "data"),
            "/etc/mlflow-auth.ini": str(tmp_path / "mlflow-auth.ini"),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - theirs, not bound here
            "http://prefect:": "http://127.0.0.1:",
            "4200": str(prefect),
            "5000": str(mlflow),
            "8080": str(health),
            "8321": str(rest),
        }
        (tmp_path / "data").mkdir()
        started = Containers(tmp_path, addresses)
        stack.callback(started.end)
        yield started
        assert started.used == set(addresses)


@pytest.mark.path
def test_the_services_start_with_their_settings_and_become_well(containers: Containers) -> None:
    containers.start("prefect")
    assert containers.start("bucket").wait(60) == 0, containers.read_log("bucket")
    containers.start("mlflow")
    containers.wait_until_well("prefect")
    setup = containers.start("setup")
    assert setup.wait(240) == 0, containers.read_log("setup")
    containers.start("worker")
    containers.start("rest")
    for name in ("worker", "mlflow", "rest"):
        containers.wait_until_well(name)
    assert containers.start("bucket").wait(60) == 0, "and again, when it is there"

    api = f"http://127.0.0.1:{containers.addresses['4200']}/api"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        call(f"{api}/work_pools/{POOL}/workers/filter", {})
    call_in = partial(call, auth="scorelake:asked-for")
    (worker,) = call_in(f"{api}/work_pools/{POOL}/workers/filter", {})
    assert (worker["name"], worker["status"]) == ("compose", "ONLINE")
    assert call_in(f"{api}/deployments/count", {}) == len(
        yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    )
    for name, table in (("lake", "ducklake_table"), ("features", "feature_services"), ("mlflow", "experiments")):
        address = containers.addresses[f"scorelake:not-asked-for@postgres:5432/{name}"]
        with psycopg.connect(f"postgres://{address}") as connection:
            assert connection.execute(f"select count(*) > 0 from {table}").fetchone() == (True,), name
    assert not list((Path(containers.addresses["/data"]) / "home").rglob("*.sqlite"))
    experiments = f"http://127.0.0.1:{containers.addresses['5000']}/api/2.0/mlflow/experiments/search?max_results=9"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        call(experiments)
    assert call_in(experiments, auth="scorelake:asked-for, too")["experiments"]
    models = f"http://127.0.0.1:{containers.addresses['8321']}/v1/models"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        call(models)
    asked = urllib.request.Request(models, headers={"X-API-Key": "the client's"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert json.load(answer)["models"] == [], "nothing is trained yet"
