"""How addresses are spoken to: by TLS with the server's certificate checked, unless it is this machine or said openly.

What is not, is refused before anything is sent. Which addresses there are is in `settings`.
"""

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from feature_repo.databases import parse_address, write_words
from feature_repo.errors import BadData

_UNCHECKED: Final = frozenset({"disable", "allow", "prefer"})  # modes of libpq that may end up without TLS
# Seconds. One without TLS says nothing to whoever begins with it, and would be waited for without end.
_REDIS_PATIENCE: Final = {"socket_connect_timeout": "10", "socket_timeout": "30"}
_SYSTEM: Final = "system"  # libpq's word for the system's authorities


@dataclass(frozen=True, slots=True)
class Transport:
    """What is trusted.

    Parameters
    ----------
    ca_file
        Authorities that sign the servers' certificates, PEM; those of the system if None.
    plain_hosts
        Hosts that are spoken to without TLS, as in a network of containers that nobody else is in.
    """

    ca_file: Path | None = None
    plain_hosts: tuple[str, ...] = ()

    def check_ca_file(self) -> None:
        """Check that the file can be read and holds certificates; raises `BadData`."""
        if self.ca_file is None:
            return
        try:
            ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise BadData(f"{self.ca_file} is no file of certificates that can be read (PEM): {error}") from error

    def secure_database(self, address: str) -> str:
        """An address of PostgreSQL with what TLS needs: by default the certificate and the host's name are checked.

        Raises `BadData` if it asks for less than TLS on the way to another host.
        """
        words = parse_address(address)
        hosts = str(words.get("hostaddr") or words.get("host") or "").split(",")
        if not self._are_near(hosts):
            mode = words.setdefault("sslmode", "verify-full")
            if mode in _UNCHECKED:
                raise BadData(_word_refusal(hosts, f"sslmode={mode}", "leave sslmode away, which is verify-full"))
        if str(words.get("sslmode", "")).startswith("verify-"):
            words.setdefault("sslrootcert", str(self.ca_file or _SYSTEM))
        return write_words(words)

    def secure_redis(self, address: str) -> str:
        """An address of Redis, as Feast writes it, with the authorities, and how long a silent server is borne.

        Raises `BadData` as `secure_database` does.
        """
        parts = address.split(",")
        options = dict(part.split("=", 1) for part in parts if "=" in part)
        hosts = [part.rpartition(":")[0] or part for part in parts if "=" not in part]
        wanted = dict(_REDIS_PATIENCE)
        if options.get("ssl", "").lower() == "true":
            wanted |= {"ssl_check_hostname": "true"} | ({"ssl_ca_certs": str(self.ca_file)} if self.ca_file else {})
            if options.get("ssl_cert_reqs", "required") != "required" and not self._are_near(hosts):
                raise BadData(_word_refusal(hosts, f"ssl_cert_reqs={options['ssl_cert_reqs']}", "leave it away"))
        elif not self._are_near(hosts):
            raise BadData(_word_refusal(hosts, "no ssl=true", "add ,ssl=true"))
        return ",".join([*parts, *(f"{name}={value}" for name, value in wanted.items() if name not in options)])

    def check_endpoint(self, endpoint: str) -> None:
        """Check the address of a server that speaks S3; raises `BadData` as `secure_database` does."""
        at = urlsplit(endpoint)
        if at.scheme != "https" and not self._are_near([at.hostname or ""]):
            raise BadData(_word_refusal([at.hostname or ""], f"{at.scheme}://", "write https://"))

    def _are_near(self, hosts: Iterable[str]) -> bool:
        return all(host in self.plain_hosts or is_loopback(host) for host in hosts)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, or a socket of it.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.2", "::1", "/run/postgresql", "", "db.internal")]
    [True, True, True, True, True, False]
    """
    if not host or host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _word_refusal(hosts: Sequence[str], found: str, remedy: str) -> str:
    return (
        f"expected TLS to {', '.join(hosts)}, found {found}: what is sent could be read on the way. To have TLS, "
        f"{remedy}; where nobody else is on the way, name the hosts in SCORELAKE_PLAIN_HOSTS"
    )
