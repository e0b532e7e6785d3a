"""A catalog in a PostgreSQL database, for writers and readers on several hosts.

A lock is an advisory lock of a session that lives as long as its holder: the server frees it when the holder's process
or host dies. Who holds it stands in a table. A holder that was merely cut off does not know that its lock is gone, so
every commit is checked by the database itself, see `postgres.sql`.
"""

import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import stamina

from feature_repo.catalogs import WRITER
from feature_repo.databases import PATIENCE, describe_address, import_psycopg, parse_address, write_words
from feature_repo.errors import BadData, Unavailable
from feature_repo.file_lock import word_busy
from feature_repo.release import LaterRelease

if TYPE_CHECKING:
    import psycopg

_log = logging.getLogger(__name__)

_SETUP: Final = Path(__file__).with_suffix(".sql")
_GUARD: Final = Path(__file__).with_name("postgres_guard.sql")
# What we ask of our own end, asked of the server's.
_SERVER_PATIENCE: Final = {
    f"tcp_{name.removeprefix('tcp_')}": value for name, value in PATIENCE.items() if name != "connect_timeout"
}
_TAKE: Final = """
insert into scorelake.holders as held (name, token, purpose, process_id, host)
values (%(name)s, %(token)s, %(purpose)s, %(process_id)s, %(host)s)
on conflict (name) do update
set token = excluded.token, purpose = excluded.purpose, process_id = excluded.process_id,
    host = excluded.host, held_at = now()
"""

# What this process has found out about databases, and need not ask again.
_KNOWN: Final[dict["PostgresCatalog", int]] = {}
_GUARDED: Final[set["PostgresCatalog"]] = set()


@dataclass(frozen=True, slots=True)
class PostgresCatalog:
    """The database, by a URL or by words of libpq; it may hold a password, which is shown nowhere."""

    extension: ClassVar[str] = "postgres_scanner"

    address: str = field(repr=False)

    def exists(self) -> bool:
        """Whether there is a catalog yet; raises `Unavailable` if the database cannot be reached."""
        return self.read_identity() is not None

    def describe(self) -> str:
        """Host, port and name of the database."""
        return describe_address(self.address)

    def read_identity(self) -> object:
        """What tells a catalog from another that was at the same place before; None before there is one.

        Asked once a process, as soon as the answer is yes: every reading of the lake begins with it.
        """
        if self not in _KNOWN:
            with self._open("scorelake") as connection, _translate(self):
                row = connection.execute("select to_regclass('ducklake_snapshot')::oid::bigint").fetchone()
            if row is None or row[0] is None:
                return None
            _KNOWN[self] = row[0]
        return _KNOWN[self]

    def prepare(self) -> None:
        """Check that the database is there; it is made by whoever runs the server."""
        with self._open(""):
            return

    def list_secrets(self) -> tuple[str, ...]:
        """The password, which DuckDB keeps apart from what it shows of an attachment."""
        password = parse_address(self.address).get("password")
        return (f"create or replace secret (type postgres, password {_quote(password)})",) if password else ()

    def build_source(self, *, read_only: bool) -> str:
        """What DuckLake attaches: the address without its password. A reader's session cannot write."""
        words = parse_address(self.address)
        words.pop("password", None)
        own = {"default_transaction_read_only": "on"} if read_only else {"scorelake.token": _read_token(os.getpid())}
        return "postgres:" + _write_address(words, own)

    def list_options(self) -> tuple[str, ...]:
        """None."""
        return ()

    @contextmanager
    def hold(self, name: str, purpose: str, wait_seconds: float) -> Iterator[bool]:
        """Hold a lock for as long as this process and its connection live."""
        with self._open(f"scorelake {name}: {purpose}") as connection:
            _set_up(connection)
            self._acquire(connection, name, wait_seconds)
            values = {
                "name": name,
                "token": _read_token(os.getpid()),
                "purpose": purpose,
                "process_id": os.getpid(),
                "host": socket.gethostname(),
            }
            with _translate(self):
                has_predecessor_failed = _read_holder(connection, name) is not None
                # Waits for a commit of a holder that was cut off, if it is at it just now.
                connection.execute(_TAKE, values)
            try:
                yield has_predecessor_failed
            except LaterRelease:  # it was sent away before it did anything
                if not has_predecessor_failed:
                    _release(connection, name)
                raise
            _release(connection, name)

    def _acquire(self, connection: "psycopg.Connection[Any]", name: str, wait_seconds: float) -> None:
        from psycopg.errors import LockNotAvailable  # noqa: PLC0415 - of the optional extra

        with _translate(self):
            if connection.execute("select pg_try_advisory_lock(hashtext(%s))", [_name_lock(name)]).fetchone()[0]:  # type: ignore[index]  # one row
                return
            try:
                # The server keeps the queue: who came first is served first. 0 would be without end.
                connection.execute(
                    "select set_config('lock_timeout', %s, false)", [f"{max(1, wait_seconds * 1e3):.0f}"]
                )
                connection.execute("select pg_advisory_lock(hashtext(%s))", [_name_lock(name)])
                connection.execute("set lock_timeout = 0")
            except LockNotAvailable:
                holder = _read_holder(connection, name) or "a process that left no name"
                doing = "the lake is being written" if name == WRITER else f"{name} is held"
                raise Unavailable(word_busy(holder, wait_seconds, doing)) from None

    @contextmanager
    def hold_lease(self, name: str, purpose: str) -> Iterator[bool]:
        """Hold a lease in a session of its own: a run whose host died has none, whatever the ledger says."""
        with self.hold(f"lease {name}", purpose, 0):
            yield True

    def guard(self) -> None:
        """Have the database refuse every commit of whoever does not hold the writer lock; safe to repeat."""
        if self in _GUARDED:
            return
        with self._open(f"scorelake {WRITER}") as connection, _translate(self):
            found = connection.execute(
                "select 1 from pg_trigger where tgrelid = 'ducklake_snapshot'::regclass and tgname = 'check_writer'"
            ).fetchone()
            if not found:
                connection.execute(_GUARD.read_bytes())
        _GUARDED.add(self)

    def find_dead_holder(self, name: str) -> str | None:
        """Who held a lock and died or failed, in words; None if nobody did, or somebody holds it now."""
        with self._open("scorelake doctor") as connection, _translate(self):
            if not connection.execute("select to_regclass('scorelake.holders')").fetchone()[0]:  # type: ignore[index]  # one row
                return None
            is_free = connection.execute("select pg_try_advisory_lock(hashtext(%s))", [_name_lock(name)]).fetchone()[0]  # type: ignore[index]  # one row
            return _read_holder(connection, name) if is_free else None

    def list_tables(self) -> tuple[str, ...]:
        """Names of DuckLake's own tables."""
        with self._open("scorelake tables") as connection, _translate(self):
            rows = connection.execute(
                r"select relname from pg_class where relname like 'ducklake\_%' and relkind = 'r'"
            ).fetchall()
        return tuple(name for (name,) in rows)

    def find_fault(self) -> str | None:
        """None: a database that answers is well; one that does not is `Unavailable`."""
        self.prepare()
        return None

    def rewrite(self, wait_seconds: float) -> None:
        """Rewrite DuckLake's tables without what was deleted from them.

        Whoever waits for a table holds up those who come to read it: so it is tried for a moment, and again.
        """
        from psycopg.errors import LockNotAvailable  # noqa: PLC0415 - of the optional extra

        with self._open("scorelake vacuum") as connection, _translate(self):
            connection.execute("set lock_timeout = '500ms'")
            tables = connection.execute(
                r"select format('%I.%I', schemaname, tablename) from pg_tables "
                r"where tablename like 'ducklake\_%' and tableowner = current_user order by 1"
            ).fetchall()
            try:
                for attempt in stamina.retry_context(on=LockNotAvailable, attempts=None, timeout=wait_seconds):
                    with attempt:
                        while tables:
                            connection.execute(f"vacuum full {tables[-1][0]}".encode())  # quoted by the server
                            tables.pop()
            except LockNotAvailable as error:
                raise Unavailable(
                    f"the catalog was being read for more than {wait_seconds} s, so that deleted values stay in its "
                    "pages; the next purge takes them"
                ) from error

    def measure(self) -> int:
        """Bytes of DuckLake's tables with their indexes."""
        with self._open("scorelake measure") as connection, _translate(self):
            row = connection.execute(
                "select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class "
                r"where relname like 'ducklake\_%' and relkind = 'r'"
            ).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _open(self, application_name: str) -> Iterator["psycopg.Connection[Any]"]:
        """Open a session of our own beside DuckDB's; raises `Unavailable` if the database cannot be reached."""
        psycopg = import_psycopg()
        with _translate(self):
            connection = psycopg.connect(
                _write_address(parse_address(self.address)), autocommit=True, application_name=application_name[:63]
            )
        with connection:
            yield connection


def _write_address(words: dict[str, Any], own: dict[str, str] | None = None) -> str:
    """Words of libpq, with how long a silent network is borne, and settings of the session."""
    settings = {**_SERVER_PATIENCE, **(own or {})}
    options = " ".join([words.get("options", ""), *(f"-c {name}={value}" for name, value in settings.items())])
    return write_words({**PATIENCE, **words, "options": options.strip()})


@contextmanager
def _translate(catalog: PostgresCatalog) -> Iterator[None]:
    """Give errors of the database our names."""
    psycopg = import_psycopg()
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise BadData(
            f"the role may not do this in {catalog.describe()}: {error}; it has to own the database"
        ) from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"the catalog {catalog.describe()} does not answer: {str(error).strip()}") from error


@cache
def _read_token(_process_id: int) -> str:
    """What this process calls itself before the database; a fork would be another one."""
    return secrets.token_hex(8)


def _name_lock(name: str) -> str:
    return f"scorelake {name}"


def _read_holder(connection: "psycopg.Connection[Any]", name: str) -> str | None:
    row = connection.execute(
        "select purpose || ', process ' || process_id || ' on ' || host from scorelake.holders where name = %s", [name]
    ).fetchone()
    return str(row[0]) if row else None


def _release(connection: "psycopg.Connection[Any]", name: str) -> None:
    psycopg = import_psycopg()
    try:
        connection.execute(
            "delete from scorelake.holders where name = %s and token = %s", [name, _read_token(os.getpid())]
        )
    except psycopg.OperationalError as error:
        # The work is done; the next holder cleans up as after a death, and finds nothing.
        _log.warning("lock lost before its release name=%s reason=%s", name, str(error).strip())


def _set_up(connection: "psycopg.Connection[Any]") -> None:
    """Make the table of holders if it is not there; two that do so at once take turns."""
    if connection.execute("select to_regproc('scorelake.check_writer')").fetchone()[0]:  # type: ignore[index]  # one row
        return
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('scorelake setup'))")
        connection.execute(_SETUP.read_bytes())


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
