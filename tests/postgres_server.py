"""A PostgreSQL of the tests' own, for what the one that listens on loopback is not asked for: TLS, other addresses."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_DEBIAN = Path("/usr/lib/postgresql")
_START_SECONDS = 30
_LEAN = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB"}


@contextmanager
def run_postgres(
    folder: Path,
    address: str,
    *,
    rules: str,
    settings: Mapping[str, object],
    wrap: Callable[..., list[str]] = lambda *command: [*command],
) -> Iterator[None]:
    """Start an empty server in a folder that its user reaches; it ends with the block.

    `address` is where it is asked whether it is up, `rules` are its pg_hba.conf; `wrap` makes it start elsewhere.
    """
    programs, data, log = find_programs(), folder / "postgres", folder / "postgres.log"
    data.mkdir(mode=0o700)
    give_away(data)
    become = []
    if user := _find_user():
        become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*become, *initdb], check=True, capture_output=True, cwd="/")
    (data / "pg_hba.conf").write_text(rules)
    options = [word for name, value in {**_LEAN, **settings}.items() for word in ("-c", f"{name}={value}")]
    with log.open("wb") as output:
        command = wrap(*become, str(programs / "postgres"), "-D", str(data), *options)
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd="/")
    try:
        _wait(address, process, log)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)  # at once
        process.wait()


def give_away(path: Path) -> None:
    """Give a file or folder to the server's user."""
    if user := _find_user():
        shutil.chown(path, user.pw_uid, user.pw_gid)


def make_database(server: str, template: str = "template1") -> str:
    """Make a database, empty or as another one of the server; its address."""
    name = f"db_{secrets.token_hex(4)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"create database {name} template {template.rpartition('/')[2]}".encode())
    return f"{server}/{name}"


def find_programs() -> Path:
    """Folder of the newest PostgreSQL's programs of this machine; skips the test if there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(_DEBIAN.glob("*/bin"), key=lambda one: float(one.parent.name))
    if not folders or not (folders[-1] / "initdb").exists():
        pytest.skip("PostgreSQL's own programs (initdb, postgres) are not installed")
    return folders[-1]


def _find_user() -> pwd.struct_passwd | None:
    """Who runs it, since it refuses to be run by root; None for whoever runs the tests."""
    if os.geteuid():
        return None
    return next(one for one in pwd.getpwall() if one.pw_name in {"postgres", "nobody"})


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(address, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
