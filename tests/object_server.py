"""A server that speaks S3: SeaweedFS, from its wheel, with all its parts in one process on loopback."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.exceptions

from tests.secure_servers import Certificates

# The bucket that it has from the start; each one takes volumes, of which there are few.
BUCKET = "tests"
_PARTS = ("master", "volume", "filer", "s3")
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """Where it listens, and the key that it takes."""

    endpoint: str
    key_id: str = "tester"
    secret_key: str = "a key for tests"  # noqa: S105 - of a server on loopback
    ca_file: str | None = None


# May do what a policy of a bucket says, see `allow`; until then nothing.
SCORER = ("scorer", "another key for tests")


@contextmanager
def serve_objects(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    certificates: Certificates | None = None,
    wrap: Callable[..., list[str]] = lambda *command: [*command],
) -> Iterator[ObjectServer]:
    """Start a server that keeps its objects in a folder; it ends with the block, and speaks TLS if it can.

    `wrap` makes a command start elsewhere, where `host` is an address and every port is free.
    """
    ports = _find_ports()
    server, secure = ObjectServer(f"http://{host}:{ports['s3']}"), list[str]()
    if certificates is not None:
        server = ObjectServer(f"https://{host}:{ports['s3']}", ca_file=str(certificates.ca))
        secure = [f"-s3.cert.file={certificates.certificate}", f"-s3.key.file={certificates.key}"]
    users = [
        {
            "name": "tester",
            "credentials": [{"accessKey": server.key_id, "secretKey": server.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {"name": "scorer", "credentials": [dict(zip(("accessKey", "secretKey"), SCORER, strict=True))], "actions": []},
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "users.json").write_text(json.dumps({"identities": users}))
    numbers = [f"-{part}.port={ports[part]}" for part in _PARTS] + [
        f"-{part}.port.grpc={ports[f'{part} grpc']}" for part in _PARTS
    ]
    command = [str(Path(sys.executable).with_name("weed")), "-logtostderr=true", "server", f"-dir={folder}"]
    options = [f"-ip={host}", f"-ip.bind={host}", "-filer", "-s3", f"-s3.config={folder / 'users.json'}"]
    lean = [
        "-volume.preStopSeconds=0",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=50",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    quiet = ["-master.telemetry=false", "-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            wrap(*command, *options, *lean, *quiet, *numbers, *secure), stdout=log, stderr=log, cwd=folder
        )
    try:
        _wait(server, process, folder / "server.log")
        yield server
    finally:
        process.kill()  # asked to end, it takes its time
        process.wait()
        for part in _PARTS:  # it leaves them
            Path(f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part} grpc']}.sock").unlink(missing_ok=True)  # noqa: S108


def open_client(server: ObjectServer) -> "boto3.client":
    """Open a client of the tests' own."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.key_id,
        aws_secret_access_key=server.secret_key,
        verify=server.ca_file,
    )


def allow(server: ObjectServer, policy: str) -> None:
    """Let the key `SCORER` do in the bucket what a policy says, as it would be given to a user of Amazon's."""
    principal = {"AWS": ["arn:aws:iam::000000000000:user/scorer"]}
    said = json.loads(policy)
    said["Statement"] = [{**statement, "Principal": principal} for statement in said["Statement"]]
    open_client(server).put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(said))


def _wait(server: ObjectServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until it has taken an object and given it back: it listens before it can."""
    client, deadline = open_client(server), time.monotonic() + _START_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="a", Body=b"a")
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
        else:
            return


def _find_ports() -> dict[str, int]:
    """Ports that are free on loopback, all different: they are held until the last one is known."""
    with ExitStack() as held:
        ports = {}
        for name in (*_PARTS, *(f"{part} grpc" for part in _PARTS)):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports[name] = probe.getsockname()[1]
    return ports
