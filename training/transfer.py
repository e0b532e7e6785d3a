"""Runs, versions and files of a lake's models, copied into the MLflow of another lake.

MLflow has no means of its own for it. Both stores are made by the same release, so that their tables are the same.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.errors import BadData, Refused
from training.registry import has_store, list_versions, make_store, name_store, resolve
from training.spec import list_specs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from feature_repo.lake import Lake

_REVISION = "alembic_version"


def copy_models(origin: "Lake", target: "Lake") -> int:
    """Copy all that MLflow keeps of a lake into that of another, which has no versions; returns how many versions.

    Each version is read again from where it is now, and its files are those that were registered. Safe to repeat:
    rows are copied last, and as one, and what was copied before stays.

    Raises
    ------
    Refused
        If the target has other versions already.
    BadData
        If the stores are of different releases of MLflow, or a file is not what was registered.
    """
    if not has_store(origin):
        return 0
    make_store(target)
    wanted, found = _list_runs(origin), _list_runs(target)
    if found and found != wanted:
        raise Refused("the target's MLflow has other versions already; migrate into an empty one. Nothing was written")
    if not found:
        _copy_files(origin, target)
        _copy_rows(name_store(origin), name_store(target))
    for model, version in _list_runs(target):
        resolve(target, model, version)  # which checks its files
    return len(wanted)


def copy_runs(origin: "Lake", target: "Lake") -> None:
    """Copy all that MLflow's store holds of a lake into that of another, which is made; not the files of models."""
    make_store(origin)
    make_store(target)
    _copy_rows(name_store(origin), name_store(target))


def _list_runs(lake: "Lake") -> dict[tuple[str, str], str]:
    """The run that made each version, by model and version."""
    return {(model, one.version): one.run_id for model in list_specs() for one in list_versions(lake, model)}


def _copy_files(origin: "Lake", target: "Lake") -> None:
    folder = origin.storage.artifacts
    for file in origin.storage.list_files(folder):
        with target.storage.open_draft(target.storage.artifacts + file.address.removeprefix(folder)) as draft:
            draft.write_bytes(Path(origin.storage.fetch(file.address)).read_bytes())


def _copy_rows(origin: str, target: str) -> None:
    from sqlalchemy import MetaData, create_engine, insert, select  # noqa: PLC0415 - for this alone

    tables = MetaData()
    source, sink = create_engine(origin), create_engine(target)
    try:
        tables.reflect(source)
        known = MetaData()
        known.reflect(sink)
        with source.connect() as reading, sink.begin() as writing:
            _check_same_release(reading, writing)
            # Those of the target know its own types.
            for table in reversed(known.sorted_tables):
                if table.name != _REVISION:
                    writing.execute(table.delete())
            for table in known.sorted_tables:
                rows = reading.execute(select(tables.tables[table.name])).mappings().all()
                if rows and table.name != _REVISION:
                    writing.execute(insert(table), [dict(row) for row in rows])
            _set_sequences(writing)
    finally:
        source.dispose()
        sink.dispose()


def _check_same_release(reading: "Connection", writing: "Connection") -> None:
    from sqlalchemy import text  # noqa: PLC0415 - as above

    before, after = (
        one.execute(text("select version_num from alembic_version")).scalar() for one in (reading, writing)
    )
    if before != after:
        raise BadData(
            f"MLflow's stores are of different releases: {before} and {after}; run `scorelake models` on both"
        )


def _set_sequences(writing: "Connection") -> None:
    """Have PostgreSQL number on from the greatest number that was copied."""
    from sqlalchemy import text  # noqa: PLC0415 - as above

    if writing.dialect.name != "postgresql":
        return
    found = writing.execute(
        text(
            "select table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) "
            "from information_schema.columns where table_schema = current_schema() "
            "and pg_get_serial_sequence(quote_ident(table_name), column_name) is not null"
        )
    ).all()
    for table, column, sequence in found:
        writing.execute(
            text(f'select setval(:sequence, coalesce(max("{column}"), 0) + 1, false) from "{table}"'),  # noqa: S608 - its own names
            {"sequence": sequence},
        )
