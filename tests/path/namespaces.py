"""Hosts that are network namespaces of this machine, joined by a bridge, whose cables can be pulled.

Each host has an address, and a folder of its own that all of them see under the same path. This machine is joined to
the bridge as well, so that a test reaches their servers.
"""

import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# In the namespace of a host: what is mounted there is seen by its processes alone.
_SETTLE = 'mount --bind "$0" "$1" && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Host:
    """A host; `cable` is that end of its cable which is plugged into the bridge."""

    name: str
    address: str
    namespace: str
    cable: str
    bridge: str
    own_folder: Path
    folder: Path

    def wrap(self, *command: str) -> list[str]:
        """A command as it is started on this host."""
        settle = ["sh", "-c", _SETTLE, str(self.own_folder), str(self.folder)]
        return ["ip", "netns", "exec", self.namespace, *settle, *command]

    @contextmanager
    def run(self, *command: str, log: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a program on this host until the end of the block; its output goes to a file."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.wrap(*command), stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def cut_off(self) -> None:
        """Have its cable lead nowhere: nobody is told, packets are lost."""
        _call("ip", "link", "set", self.cable, "nomaster")

    def join(self) -> None:
        """Plug its cable in, again."""
        _call("ip", "link", "set", self.cable, "master", self.bridge)


@contextmanager
def make_hosts(names: Sequence[str], folder: Path) -> Iterator[dict[str, Host]]:
    """Make hosts, which end with the block; where that cannot be done the test is skipped, with the reason.

    Parameters
    ----------
    folder
        The path under which each host has a folder of its own.
    """
    if not shutil.which("ip") or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    token, net = secrets.token_hex(3), f"198.18.{random.SystemRandom().randrange(256)}"
    folder.mkdir(parents=True)
    with ExitStack() as made:
        bridge = f"sl{token}"
        try:
            made.callback(_remove, "ip", "link", "delete", bridge)
            _call("ip", "link", "add", bridge, "type", "bridge")
            _call("ip", "address", "add", f"{net}.1/24", "dev", bridge)
            _call("ip", "link", "set", bridge, "up")
            hosts = {}
            for number, name in enumerate(names):
                own = folder.with_name(f"{folder.name}-{name}")
                own.mkdir()
                host = Host(
                    name, f"{net}.{number + 2}", f"scorelake-{token}-{name}", f"sl{token}{number}", bridge, own, folder
                )
                made.callback(_remove, "ip", "netns", "delete", host.namespace)
                _make_host(host)
                hosts[name] = host
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces can be made here: {error.stderr.strip()}")
        yield hosts


def _make_host(host: Host) -> None:
    """A namespace with a cable, both ends of it connected."""
    inside = ("ip", "-n", host.namespace)
    _call("ip", "netns", "add", host.namespace)
    _call("ip", "link", "add", host.cable, "type", "veth", "peer", "name", "cable", "netns", host.namespace)
    _call(*inside, "address", "add", f"{host.address}/24", "dev", "cable")
    for name in ("cable", "lo"):
        _call(*inside, "link", "set", name, "up")
    _call("ip", "link", "set", host.cable, "up")
    host.join()
    subprocess.run(host.wrap("true"), check=True, capture_output=True, text=True)  # mounts may be forbidden, too


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _remove(*command: str) -> None:
    subprocess.run(command, check=False, capture_output=True)  # it may never have been made
