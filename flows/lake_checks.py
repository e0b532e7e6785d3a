"""What `doctor` looks at in a lake and its surroundings; none of it needs a server."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Final

import duckdb

from feature_repo.errors import BadData, Refused, Unavailable
from feature_repo.extensions import find_extension
from feature_repo.lake import list_extensions, quote_text, read_lake, run_transaction, write_lake
from feature_repo.leftovers import (
    delete_abandoned,
    delete_leftovers,
    find_abandoned,
    find_dead_writer,
    find_leftovers,
)
from feature_repo.migration import find_outdated
from feature_repo.release import LaterRelease, check_writable, is_behind
from feature_repo.upkeep import find_broken_files
from flows.checkup import Check, Scene, Sight, broken, tell, unknown, well, wrong
from flows.tables import list_tables
from flows.up_state import read_state
from scoring.economics import check_budget, estimate_cost
from scoring.lease import list_dead_leases, list_live_runs, release_lease
from scoring.owed import ScoreRequest, read_owed
from training.spec import list_specs

_OPTIONAL: Final = ("postgres_scanner", "httpfs")  # wheels that teams add
_SHOWN: Final = 5
_MIB: Final = 1 << 20


def _look_at_extensions(scene: Scene) -> Sight:
    needed = list_extensions(scene.lake)
    names = [*needed, *(name for name in _OPTIONAL if name not in needed and find_spec(f"duckdb_extension_{name}"))]
    faults = [fault for name in names if (fault := _try_extension(name))]
    if faults:
        return wrong("; ".join(faults), f"Install the wheels of duckdb {duckdb.__version__} again: `make setup`")
    return well(f"{', '.join(names)} of duckdb {duckdb.__version__} load")


def _try_extension(name: str) -> str | None:
    """Why an extension cannot be loaded; None if it can."""
    try:
        file = find_extension(name)
        with duckdb.connect() as connection:
            connection.execute(f"load {quote_text(str(file))}")
    except (Unavailable, duckdb.Error) as error:
        return f"{name}: {tell(error)}"
    return None


def _look_at_rights(scene: Scene) -> Sight:
    home = scene.lake.home
    if not home.exists():
        return well(f"{home} is not there yet")
    if denied := sorted(_list_denied(home)):
        return wrong(
            f"{len(denied)} files and folders of another user, or closed to this one: {_name_some(denied)}",
            f"Run everything as the user who owns {home}, and give that user all that is in it (`chown -R`)",
        )
    return well(f"all of {home} may be written by its owner")


def _list_denied(home: Path) -> Iterator[str]:
    """What lies in a home and can be written by its owner only if somebody helps, or not by whoever looks."""
    owner = home.stat().st_uid
    paths = (Path(folder, name) for folder, folders, files in os.walk(home) for name in (*folders, *files))
    for path in chain((home,), paths):
        with suppress(FileNotFoundError):  # a run has deleted it since
            if not _is_usable(path, owner):
                yield str(path)


def _is_usable(path: Path, owner: int) -> bool:
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return False
    # Files that are only read have no such right by intent, as the published ones.
    return found.st_uid == owner or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _look_at_lake(scene: Scene) -> Sight:
    lake = scene.lake
    if not lake.catalog.exists():
        return wrong(f"no lake at {lake.home}", "Set SCORELAKE_HOME to where it is, or make one with `scorelake apply`")
    catalog = lake.catalog.describe()
    advice = f"Stop what runs, and put {catalog} and the files of the lake back from a backup"
    try:
        if fault := lake.catalog.find_fault():
            return wrong(f"the catalog {catalog} is damaged: {fault}", advice)
        with read_lake(lake) as connection:
            tables = _list_names(connection)
            gone = [path for table in tables for path in find_broken_files(lake, connection, table)]
    except LaterRelease as error:
        return wrong(tell(error), "Install that release, or a later one")
    except duckdb.Error as error:
        return wrong(f"the lake cannot be opened: {tell(error)}", advice)
    if gone:
        return wrong(f"{len(gone)} data files are gone or damaged: {_name_some(gone)}", advice)
    return well(f"{len(tables)} tables, every file in its place")


def _list_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'lake' order by 1"
    )
    return [name for (name,) in found.fetchall()]


def _look_at_tables(scene: Scene) -> Sight:
    try:
        return _compare_tables(scene)
    except LaterRelease as error:
        return wrong(tell(error), "Install that release, or a later one")


def _compare_tables(scene: Scene) -> Sight:
    with read_lake(scene.lake) as connection:
        check_writable(connection)
        outdated = find_outdated(connection, list_tables())
        found = connection.execute(
            "select schema_name || '.' || table_name, list(column_name) from duckdb_columns() "
            "where database_name = 'lake' group by 1"
        )
        columns = dict(found.fetchall())
        is_unmarked = is_behind(connection)
    newer = [
        f"{table.name}.{column}"
        for table in outdated
        for column in sorted({*columns.get(str(table.name), ())} - {*table.columns})
    ]
    if newer:
        return wrong(
            f"the lake was made by a later release: it has {_name_some(newer)}", "Install that release, or a later one"
        )
    if outdated:
        names = _name_some([str(table.name) for table in outdated])
        return broken(f"the lake is of an earlier release: {names} are not as declared", "migrates it, as `apply` does")
    if is_unmarked:
        return broken("the lake does not say which release it is at", "writes it down, as `apply` does")
    return well("all as this release declares them")


def _migrate(scene: Scene) -> str:
    from flows.stage import prepare_lake  # noqa: PLC0415 - Prefect takes seconds

    changed = prepare_lake(scene.lake, is_thorough=True)
    return f"migrated: {', '.join(changed) or 'no table'}"


def _look_at_locks(scene: Scene) -> Sight:
    dead = _list_dead_holders(scene)
    if dead:
        return broken(f"left by dead processes: {'; '.join(dead)}", "frees them; so does the next run that needs them")
    return well("none is held by a dead process")


def _list_dead_holders(scene: Scene) -> list[str]:
    writer = find_dead_writer(scene.lake)
    found = [f"the name of a writer ({writer})"] if writer else []
    state = read_state(scene.lake.home)
    if state is not None and not state.is_alive:
        found.append(f"up.json of a `scorelake up` with Prefect {state.prefect}")
    if scene.lake.catalog.exists():
        with read_lake(scene.lake) as connection:
            found += [f"the lease {name} of run {run}" for name, run in list_dead_leases(connection, scene.now)]
    return found


def _free_locks(scene: Scene) -> str:
    from flows.up import end_dead  # noqa: PLC0415 - starts what serves

    dead = _list_dead_holders(scene)
    end_dead(scene.lake.home)
    # Whoever opens the lake for writing cleans up after the writer before, if that one died.
    with write_lake(scene.lake, purpose="free the locks of dead runs") as connection:

        def release(inside: duckdb.DuckDBPyConnection) -> None:
            for name, run_id in list_dead_leases(inside, scene.now):
                release_lease(inside, name, run_id)

        run_transaction(connection, release)
    return f"freed: {'; '.join(dead)}"


def _look_at_leftovers(scene: Scene) -> Sight:
    left = _find_leftovers(scene)
    if left:
        return broken(f"{len(left)} files and folders of dead runs: {_name_some(left)}", "deletes them, as `maintain`")
    return well("no run left anything that the next one would not take up")


def _find_leftovers(scene: Scene) -> list[str]:
    old = find_leftovers(scene.lake, before=_find_horizon(scene), live_runs=_list_live(scene))
    return sorted({*old, *(f"staging/{name}" for name in find_abandoned(scene.lake))})


def _delete_leftovers(scene: Scene) -> str:
    left = _find_leftovers(scene)
    delete_abandoned(scene.lake)
    delete_leftovers(scene.lake, before=_find_horizon(scene), live_runs=_list_live(scene))
    return f"deleted: {_name_some(left)}"


def _find_horizon(scene: Scene) -> datetime:
    return scene.now - timedelta(days=scene.settings.snapshot_days)


def _list_live(scene: Scene) -> tuple[str, ...]:
    if not scene.lake.catalog.exists():
        return ()
    with read_lake(scene.lake) as connection:
        return list_live_runs(connection, scene.now)


def _look_at_disk(scene: Scene) -> Sight:
    home = scene.lake.home
    there = next(path for path in (home, *home.parents) if path.exists())
    free, reserve = shutil.disk_usage(there).free // _MIB, scene.settings.disk_reserve_mib
    advice = "Free some: `scorelake maintain`, a shorter SCORELAKE_SNAPSHOT_DAYS, or a larger disk"
    if free < reserve:
        return wrong(f"{free:,} MiB free, less than the {reserve:,} MiB of SCORELAKE_DISK_RESERVE_MIB", advice)
    if not scene.lake.catalog.exists():
        return well(f"{free:,} MiB free")
    try:
        for model in list_specs():
            owed = read_owed(scene.lake, ScoreRequest(model))
            with read_lake(scene.lake) as connection:
                cost = estimate_cost(connection, model, owed.rows)
            check_budget(scene.lake, cost, reserve_mib=reserve)
    except Refused as refusal:
        return wrong(str(refusal), advice)
    except (Unavailable, BadData, duckdb.Error) as error:
        return unknown(f"{free:,} MiB free; what the owed work needs is not known: {tell(error)}")
    return well(f"{free:,} MiB free, enough for what is owed")


def _name_some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


LAKE_CHECKS: Final = (
    Check(
        "extensions",
        "DuckDB reads the lake through extensions, which load only into the very version they were built for.",
        _look_at_extensions,
    ),
    Check(
        "rights",
        "A command that another user has run, such as root, leaves files that the runs of every night cannot write.",
        _look_at_rights,
    ),
    Check("lake", "The catalog and the files that it names are all there is of the data.", _look_at_lake),
    Check(
        "tables",
        "Code and lake must agree on tables and columns; a lake of a later release is not to be written.",
        _look_at_tables,
        _migrate,
    ),
    Check(
        "locks",
        "A run that dies leaves its name on what it held. The system frees the lock itself; what is left misleads.",
        _look_at_locks,
        _free_locks,
    ),
    Check(
        "leftovers",
        "Killed runs leave staged files and spilled rows, which hold texts and take room.",
        _look_at_leftovers,
        _delete_leftovers,
    ),
    Check("disk", "A full disk stops every writer, and readers may fail with it.", _look_at_disk),
)
