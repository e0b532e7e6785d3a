"""TLS to PostgreSQL, Redis and S3: what is refused at the start, and what real servers make of it."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import redis
from feast.infra.online_stores.redis import RedisOnlineStore
from redis.backoff import NoBackoff
from redis.retry import Retry

from feature_repo.databases import parse_address
from feature_repo.errors import BadData, Unavailable
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.storages.s3 import Bucket
from flows.server import serve_api
from flows.settings import read_settings
from flows.transport import Transport
from tests.flows.commands import run_command
from tests.object_server import BUCKET, ObjectServer, serve_objects
from tests.secure_servers import CLIENT, Certificates, make_certificates, serve_postgres, serve_redis
from tests.services import find_redis, make_database

FAR = "db.internal"


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with make_certificates() as made:
        yield made


@pytest.fixture(scope="module")
def postgres(certificates: Certificates) -> Iterator[str]:
    """Words of libpq of a server that takes TLS alone; the name of the database lacks."""
    with serve_postgres(certificates) as server:
        host, port = server.split(":")
        yield f"host={host} port={port} user=postgres sslmode=verify-full"


@pytest.fixture(scope="module")
def secure_objects(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with serve_objects(tmp_path_factory.mktemp("objects"), certificates=certificates) as server:
        yield server


def test_on_the_way_to_another_host_the_certificate_and_its_name_are_checked_by_default(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    words = parse_address(Transport(ca_file).secure_database(f"postgres://me@{FAR}/lake"))
    assert (words["sslmode"], words["sslrootcert"]) == ("verify-full", str(ca_file))
    words = parse_address(Transport().secure_database(f"postgres://me@{FAR}/lake"))
    assert (words["sslmode"], words["sslrootcert"]) == ("verify-full", "system")
    secured = Transport(ca_file).secure_redis(f"{FAR}:6379,ssl=true,password=p")
    patience = "socket_connect_timeout=10,socket_timeout=30"
    assert secured == f"{FAR}:6379,ssl=true,password=p,{patience},ssl_check_hostname=true,ssl_ca_certs={ca_file}"


def test_what_an_address_says_itself_stays() -> None:
    said = f"host={FAR} dbname=lake sslmode=verify-ca sslrootcert=/own.pem sslcert=/me.pem sslkey=/me.key"
    assert parse_address(Transport(Path("/ca.pem")).secure_database(said)) == parse_address(said)
    assert parse_address(Transport().secure_database(f"host={FAR} sslmode=require"))["sslmode"] == "require"


@pytest.mark.parametrize("near", ["localhost", "127.0.0.1", "/run/postgresql", "db,127.0.0.1"])
def test_this_machine_and_the_hosts_that_are_named_need_none(near: str) -> None:
    transport = Transport(plain_hosts=("db",))
    assert "sslmode" not in parse_address(transport.secure_database(f"host={near} dbname=lake"))
    assert "ssl" not in transport.secure_redis("db:6379")
    transport.check_endpoint("http://db:8333")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CATALOG", f"host={FAR} sslmode=disable password=hunter2", "found sslmode=disable.*leave sslmode away"),
        ("CATALOG", f"host=127.0.0.1,{FAR} sslmode=prefer", "found sslmode=prefer"),
        ("PREFECT", f"postgres://{FAR}/prefect?sslmode=allow", "found sslmode=allow"),
        ("REDIS", f"{FAR}:6379,password=hunter2", "found no ssl=true.*add ,ssl=true"),
        ("REDIS", f"{FAR}:6379,ssl=true,ssl_cert_reqs=none", "found ssl_cert_reqs=none"),
        ("S3_ENDPOINT", f"http://{FAR}:8333", "found http://.*write https://"),
        ("CA_FILE", "/nowhere/ca.pem", "/nowhere/ca.pem is no file of certificates that can be read"),
    ],
)
def test_what_could_be_read_on_the_way_is_refused_at_the_start(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SCORELAKE_HOME", str(tmp_path))
    monkeypatch.setenv("SCORELAKE_DATA", "s3://bucket/prefix")
    monkeypatch.setenv(f"SCORELAKE_{name}", value)
    with pytest.raises(BadData, match=f"SCORELAKE_{name}: .*{words}") as told:
        read_settings()
    assert "hunter2" not in str(told.value)
    if name != "CA_FILE":
        assert "SCORELAKE_PLAIN_HOSTS" in str(told.value)
        monkeypatch.setenv("SCORELAKE_PLAIN_HOSTS", FAR)
        assert read_settings().plain_hosts == (FAR,)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(BadData, match="is no file of certificates"):
        Transport(tmp_path / "ca.pem").check_ca_file()


def build_lake(words: str, ca_file: Path | None, home: Path) -> Lake:
    return Lake(home, catalog_address=Transport(ca_file).secure_database(words), lock_wait_seconds=5)


def test_the_catalog_is_reached_by_tls_alone(postgres: str, certificates: Certificates, tmp_path: Path) -> None:
    lake = build_lake(f"{postgres} dbname=postgres", certificates.ca, tmp_path)
    with write_lake(lake, purpose="test") as connection:
        connection.execute("create schema notes; create table notes.rows as select 'kept' as word")
        with psycopg.connect(str(lake.catalog_address)) as session:
            found = session.execute(
                "select count(*) > 1, bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) "
                "where backend_type = 'client backend'"
            ).fetchone()
    assert found == (True, True)
    with read_lake(lake, is_locked=True) as connection:
        assert connection.execute("select word from notes.rows").fetchall() == [("kept",)]

    other = build_lake(f"{postgres} dbname=postgres", certificates.other_ca, tmp_path)
    with pytest.raises(Unavailable, match="certificate verify failed"), read_lake(other):
        pass


def test_a_catalog_without_tls_is_not_silently_accepted(certificates: Certificates, tmp_path: Path) -> None:
    with make_database() as address:
        lake = build_lake(f"{address}?sslmode=verify-full", certificates.ca, tmp_path)
        with pytest.raises(Unavailable, match="server does not support SSL"), read_lake(lake):
            pass


def open_redis(address: str, ca_file: Path) -> "redis.Redis":
    """A client as Feast makes it, but for its patience."""
    nodes, options = RedisOnlineStore._parse_connection_string(Transport(ca_file).secure_redis(address))
    return redis.Redis(**nodes[0], **options, retry=Retry(NoBackoff(), 0))


def test_a_client_is_known_by_its_certificate(postgres: str, certificates: Certificates) -> None:
    with pytest.raises(psycopg.OperationalError, match="requires a valid client certificate"):
        psycopg.connect(f"{postgres} dbname=postgres user={CLIENT} sslrootcert={certificates.ca}")
    with serve_redis(certificates, asks_clients=True) as server, pytest.raises(redis.RedisError):
        open_redis(f"{server},ssl=true", certificates.ca).ping()


def test_redis_is_known_by_its_certificate(certificates: Certificates) -> None:
    with serve_redis(certificates) as server:
        assert open_redis(f"{server},ssl=true", certificates.ca).ping()
        with pytest.raises(redis.ConnectionError, match="certificate verify failed"):
            open_redis(f"{server},ssl=true", certificates.other_ca).ping()
    with find_redis() as plain, pytest.raises(redis.RedisError):
        open_redis(f"{plain},ssl=true,socket_timeout=0.2,socket_connect_timeout=0.2", certificates.ca).ping()


def build_bucket(server: ObjectServer, ca_file: Path | None, endpoint: str | None = None) -> Bucket:
    return Bucket(
        f"s3://{BUCKET}/tls",
        endpoint or server.endpoint,
        key_id=server.key_id,
        secret_key=server.secret_key,
        ca_file=str(ca_file) if ca_file else None,
    )


def test_files_on_s3_are_read_and_written_by_tls(
    secure_objects: ObjectServer, certificates: Certificates, tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "home", bucket=build_bucket(secure_objects, certificates.ca))
    with write_lake(lake, purpose="test") as connection:
        connection.execute("create schema notes; create table notes.rows as select 'kept' as word")
    with read_lake(lake, is_locked=True) as connection:
        assert connection.execute("select word from notes.rows").fetchall() == [("kept",)]
    for ca_file in (certificates.other_ca, None):
        other = Lake(tmp_path / "home", bucket=build_bucket(secure_objects, ca_file))
        with read_lake(other) as connection, pytest.raises(Exception, match="SSL peer certificate"):
            connection.execute("select word from notes.rows").fetchall()
        with pytest.raises(Unavailable, match="certificate verify failed"):
            list(other.storage.list_files(other.storage.data))


def test_a_server_of_s3_without_tls_is_not_silently_accepted(
    object_server: ObjectServer, certificates: Certificates, tmp_path: Path
) -> None:
    plain = build_bucket(object_server, certificates.ca, object_server.endpoint.replace("http:", "https:"))
    with pytest.raises(Unavailable, match="does not answer"):
        Lake(tmp_path, bucket=plain).storage.prepare()


@pytest.mark.path
def test_a_team_by_tls(postgres: str, secure_objects: ObjectServer, certificates: Certificates, tmp_path: Path) -> None:
    """Prefect, MLflow and Feast reach databases that ask for a client's certificate; so does Redis with features."""
    names, before = ("catalog", "feature_registry", "mlflow", "prefect"), dict(os.environ)
    with psycopg.connect(f"{postgres} dbname=postgres sslrootcert={certificates.ca}", autocommit=True) as connection:
        connection.execute(f"create role {CLIENT} superuser login")
        for name in names:
            connection.execute(f"create database {name} owner {CLIENT}")
    own = {"cert": certificates.client_certificate, "key": certificates.client_key}
    known = f"{postgres} user={CLIENT} sslcert={own['cert']} sslkey={own['key']}"
    settings = {
        **{name: f"{known} dbname={name}" for name in names},
        "home": str(tmp_path / "home"),
        "ca_file": str(certificates.ca),
        "data": f"s3://{BUCKET}/team",
        "s3_endpoint": secure_objects.endpoint,
        "s3_access_key_id": secure_objects.key_id,
        "s3_secret_access_key": secure_objects.secret_key,
    }
    try:
        with ExitStack() as servers:
            redis_server = servers.enter_context(serve_redis(certificates, asks_clients=True))
            settings["redis"] = f"{redis_server},ssl=true,ssl_certfile={own['cert']},ssl_keyfile={own['key']}"
            team = {f"SCORELAKE_{name.upper()}": value for name, value in settings.items()}
            database = Transport(certificates.ca).secure_database(settings["prefect"])
            server = servers.enter_context(serve_api(tmp_path / "home", database))
            assert server is not None
            server.wait()
            run(team, "sample", str(tmp_path / "sample"), "--comments", "200", "--days", "8", "--json")
            for kind in ("videos", "comments"):
                run(team, "ingest", kind, *map(str, (tmp_path / "sample").glob(f"{kind}-*")), "--json")
            assert run(team, "materialize", "--json")["rows"]["features.comment_features"]
            assert run(team, "models", "--json")["versions"] == []
            assert run(team, "status", "--json")["rows"]["raw.comments"]
        for name, table in (("prefect", "flow_run"), ("mlflow", "experiments"), ("feature_registry", "entities")):
            with psycopg.connect(f"{postgres} dbname={name} sslrootcert={certificates.ca}") as connection:
                assert connection.execute(f"select count(*) from {table}").fetchone() != (0,), name
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(team: dict[str, str], *arguments: str) -> dict[str, object]:
    done = run_command(*arguments, environment=team)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found
