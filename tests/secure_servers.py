"""PostgreSQL and Redis that speak TLS, from the programs of this machine, with certificates of a CA of their own."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
import trustme

from tests.postgres_server import give_away, run_postgres

_START_SECONDS = 30
_NAMES = ("localhost", "127.0.0.1")
CLIENT = "certified"  # the user of PostgreSQL who is known by a certificate alone


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a CA that has signed a server's certificate and a client's, and of one that has signed nothing."""

    folder: Path
    ca: Path
    other_ca: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path


@contextmanager
def make_certificates() -> Iterator[Certificates]:
    """Make certificates for servers on loopback and for `CLIENT`, in a folder that servers of another user reach."""
    with tempfile.TemporaryDirectory(prefix="scorelake-tls-") as made:
        folder = Path(made)
        names = ("ca", "other", "server", "key", "client", "client-key")
        found = Certificates(folder, *(folder / f"{name}.pem" for name in names))
        ca, other = trustme.CA(), trustme.CA()
        ca.cert_pem.write_to_path(found.ca)
        other.cert_pem.write_to_path(found.other_ca)
        _write(ca.issue_cert(*_NAMES), found.certificate, found.key)
        _write(ca.issue_cert("client.internal", common_name=CLIENT), found.client_certificate, found.client_key)
        folder.chmod(0o755)
        yield found


def _write(signed: trustme.LeafCert, certificate: Path, key: Path) -> None:
    certificate.write_bytes(b"".join(part.bytes() for part in signed.cert_chain_pems))
    signed.private_key_pem.write_to_path(key)
    key.chmod(0o600)


@contextmanager
def serve_postgres(certificates: Certificates) -> Iterator[str]:
    """Start a PostgreSQL that takes nothing but TLS from addresses of the network; its host and port.

    Whoever says to be `CLIENT` has to show a certificate that says the same.
    """
    port, folder = _find_port(), certificates.folder
    key = Path(shutil.copy(certificates.key, folder / "postgres-key.pem"))
    give_away(key)
    settings = {
        "ssl": "on",
        "ssl_cert_file": certificates.certificate,
        "ssl_key_file": key,
        "ssl_ca_file": certificates.ca,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder / "postgres",
        "port": port,
    }
    address = f"host={folder / 'postgres'} port={port} user=postgres dbname=postgres"
    rules = f"local all all trust\nhostssl all {CLIENT} all cert\nhostssl all all all trust\n"
    with run_postgres(folder, address, rules=rules, settings=settings):
        yield f"localhost:{port}"


@contextmanager
def serve_redis(certificates: Certificates, *, asks_clients: bool = False) -> Iterator[str]:
    """Start a Redis that takes nothing but TLS, perhaps only from clients with a certificate; its host and port."""
    program, port = shutil.which("redis-server"), _find_port()
    if not program:
        pytest.skip("there is no redis-server")
    log, asked = certificates.folder / "redis.log", "yes" if asks_clients else "no"
    files = {"cert": certificates.certificate, "key": certificates.key, "ca-cert": certificates.ca}
    words = [word for name, file in files.items() for word in (f"--tls-{name}-file", str(file))]
    with log.open("wb") as written:
        process = subprocess.Popen(
            [program, "--port", "0", "--tls-port", str(port), "--tls-auth-clients", asked, "--save", "", *words],
            stdout=written, stderr=written, cwd=certificates.folder,
        )  # fmt: skip
    try:
        own = {"ssl_certfile": str(certificates.client_certificate), "ssl_keyfile": str(certificates.client_key)}
        client = redis.Redis("localhost", port, ssl=True, ssl_ca_certs=str(certificates.ca), **own)
        _wait(client, process, log)
        yield f"localhost:{port}"
    finally:
        process.kill()
        process.wait()


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(client: redis.Redis, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_answering(client):
        said = log.read_text(errors="replace")[-2000:]
        if process.poll() is not None and "tls-port" in said:
            pytest.skip("this redis-server was built without TLS")
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def _is_answering(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ConnectionError:
        return False
    return True
