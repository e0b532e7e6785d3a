"""Feast's registry, as a file or in a database: where it is, and what it holds, without Feast.

What is registered, and how it is asked for, is in `retrieval`.
"""

from pathlib import Path
from typing import Final

from feature_repo.databases import describe_address, open_database
from feature_repo.errors import Unavailable
from feature_repo.lake import Lake

_PROTOS: Final = """
select proto from (
    select 1, feature_service_name, feature_service_proto from feature_services
    union all select 2, feature_view_name, feature_view_proto from feature_views
    union all select 3, entity_name, entity_proto from entities
    union all select 4, data_source_name, data_source_proto from data_sources
) as registered (kind, name, proto) order by kind, name
"""


def read_registry(lake: Lake) -> bytes:
    """All that Feast's registry holds, to see by it whether it has changed; without Feast.

    Raises
    ------
    Unavailable
        If the definitions were never applied to this lake.
    """
    found = _read_database(lake.registry_address) if lake.registry_address else _read_file(locate_registry(lake))
    if found is None:
        place = describe_address(lake.registry_address) if lake.registry_address else locate_registry(lake)
        raise Unavailable(f"no feature registry at {place}; run `scorelake apply`")
    return found


def locate_registry(lake: Lake) -> Path:
    """The file of Feast's registry, unless it is in a database."""
    return lake.home / "feast" / "registry.db"


def _read_file(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _read_database(address: str) -> bytes | None:
    with open_database(address, "scorelake registry") as connection:
        if connection.execute("select to_regclass('feature_services')").fetchone() in {None, (None,)}:
            return None
        rows = connection.execute(_PROTOS).fetchall()
    return b"".join(row[0] for row in rows) or None


def is_applied(lake: Lake) -> bool:
    """Whether definitions were ever applied to this lake."""
    try:
        read_registry(lake)
    except Unavailable:
        return False
    return True
