"""Addresses of PostgreSQL databases, in the forms in which libraries want them. What lies in one is its owner's affair.

An address is what libpq takes: postgres://user:password@host:port/database, or words such as "host=db.internal
dbname=lake". It may hold a password, so none is ever shown.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from feature_repo.errors import BadData, Unavailable

if TYPE_CHECKING:
    import psycopg

Driver = Literal["psycopg", "asyncpg"]
# A break of half a minute is lived through; that the other end is gone is noticed within a minute.
PATIENCE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 6,
    "tcp_user_timeout": 50_000,
}


def import_psycopg() -> Any:
    """The library, which is of the optional extra; raises `Unavailable` if it is not installed."""
    try:
        import psycopg  # noqa: PLC0415 - of the optional extra
    except ImportError as error:
        raise Unavailable("a database on PostgreSQL needs the team extra: `pip install 'scorelake[team]'`") from error
    return psycopg


def parse_address(address: str) -> dict[str, Any]:
    """The words of an address, as libpq has them; raises `BadData` without showing it."""
    psycopg = import_psycopg()
    try:
        return dict(psycopg.conninfo.conninfo_to_dict(address))
    except psycopg.ProgrammingError:
        raise BadData(
            "this is no address of PostgreSQL; expected postgres://user:password@host:port/database or words such as "
            "'host=db.internal dbname=lake user=scorelake'"
        ) from None


def describe_address(address: str) -> str:
    """Host, port and name of a database."""
    words = parse_address(address)
    return f"postgres://{words.get('host', 'localhost')}:{words.get('port', 5432)}/{words.get('dbname', '')}"


def write_words(words: Mapping[str, Any]) -> str:
    """An address as words of libpq; what `parse_address` reads."""
    import_psycopg()
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - of the optional extra

    return make_conninfo(**words)


def build_url(address: str, driver: Driver) -> str:
    """The URL under which SQLAlchemy reaches a database, with its password.

    For asyncpg without the files of certificates, which it takes as an object alone.
    """
    from sqlalchemy import URL  # noqa: PLC0415 - for Feast, MLflow and Prefect alone

    words = parse_address(address)
    own = {name: words.pop(name, None) for name in ("user", "password", "host", "port", "dbname")}
    words = {**PATIENCE, **words}
    if driver == "asyncpg":  # which has its own name for it, and for nothing else
        words = {"ssl": words["sslmode"]} if "sslmode" in words else {}
    url = URL.create(
        f"postgresql+{driver}",
        username=own["user"],
        password=own["password"],
        host=own["host"],
        port=int(own["port"]) if own["port"] else None,
        database=own["dbname"],
        query={name: str(value) for name, value in words.items()},
    )
    return url.render_as_string(hide_password=False)


@contextmanager
def open_database(address: str, purpose: str) -> Iterator["psycopg.Connection[Any]"]:
    """Open a session in which each statement is a transaction; raises `Unavailable` if it cannot be reached."""
    psycopg = import_psycopg()
    words = {**PATIENCE, **parse_address(address), "application_name": purpose[:63]}
    try:
        with psycopg.connect(**words, autocommit=True) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise Unavailable(f"the database {describe_address(address)} does not answer: {str(error).strip()}") from error
