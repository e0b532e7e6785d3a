"""The scores in force: `scores.<model>_current`, one row per comment, and their summaries, kept up to date.

Which version is in force where is the promotion ledger's to say. What a scoring run publishes beside is `publish`'s.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from feature_repo.lake import quote_name, quote_text
from scoring.summaries import refresh_summaries_of
from training.promotions import Assignment, read_assignment

if TYPE_CHECKING:
    import duckdb

_FOLDER: Final = Path(__file__).parent


def replace_current(connection: "duckdb.DuckDBPyConnection", model: str, run_id: str, *, above: int) -> None:
    """Put in force what a production run scored, within the caller's transaction.

    `above` is the watermark from which the run went on: the texts that it scored have come since. Where none of its
    comments was scored before, no other text is looked at.
    """
    scored = f"select comment_id from {quote_name(f'scores.{model}')} where run_id = {quote_text(run_id)}"  # noqa: S608
    is_anything_replaced = _set_aside(connection, model, scored)
    values: dict[str, str | int] = {"run_id": run_id, "above": 0 if is_anything_replaced else above}
    _replace(connection, model, _read_sql("current", model), values)


def settle_current(connection: "duckdb.DuckDBPyConnection", model: str, run_id: str) -> None:
    """Put in force what a run scored, and whatever else the versions that the ledger assigns now have scored.

    Within the caller's transaction. Looks at all scores of the assigned versions.
    """
    assigned = read_assignment(connection, model)
    connection.execute(_read_sql("touched", model, assigned), {"run_id": run_id})
    _choose_anew(connection, model, assigned)


def withdraw_current(connection: "duckdb.DuckDBPyConnection", model: str) -> None:
    """Take scores out of force whose text has been taken back, within the caller's transaction.

    Where an earlier text of the comment is left and was scored, its score is in force again. The history
    in `scores.<model>` stays: it is what was said.
    """
    connection.execute(_read_sql("withdrawn", model))
    _choose_anew(connection, model, read_assignment(connection, model))


def _choose_anew(connection: "duckdb.DuckDBPyConnection", model: str, assigned: Assignment) -> None:
    """Choose what is in force for the comments in the table `touched`: a row of the history, or none."""
    _set_aside(connection, model, "from touched")
    _replace(connection, model, _read_sql("in_force", model, assigned))


def _set_aside(connection: "duckdb.DuckDBPyConnection", model: str, comments: str) -> bool:
    """Make the table `replaced` of the rows in force of some comments, a query of their ids; whether there are any."""
    query = f"select * from {quote_name(f'scores.{model}_current')} where comment_id in ({comments})"  # noqa: S608
    connection.execute(f"create or replace temporary table replaced as {query}")
    return connection.execute("select 1 from replaced limit 1").fetchone() is not None


def _replace(
    connection: "duckdb.DuckDBPyConnection", model: str, query: str, values: dict[str, str | int] | None = None
) -> None:
    """Have the rows of a query take the place of those in the table `replaced`."""
    current = quote_name(f"scores.{model}_current")
    connection.execute(f"create or replace temporary table refreshed as {query}", values or {})
    connection.execute(f"delete from {current} where comment_id in (select comment_id from replaced)")  # noqa: S608
    connection.execute(f"insert into {current} by name from refreshed")
    refresh_summaries_of(connection, model, "from replaced union all by name from refreshed")


def _read_sql(name: str, model: str, assigned: Assignment | None = None) -> str:
    sql = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    names = {"{history}": quote_name(f"scores.{model}"), "{current}": quote_name(f"scores.{model}_current")}
    if assigned:
        names["{assigned}"] = _write_version(assigned)
    for mark, written in names.items():
        sql = sql.replace(mark, written)
    return sql


def _write_version(assigned: Assignment) -> str:
    """The SQL expression for the version that is assigned to the channel of a row of `scores`."""
    champion = quote_text(assigned.champion) if assigned.champion else "null"
    if assigned.canary is None:
        return champion
    is_canary = assigned.write_condition("scores.channel_id")
    return f"case when {is_canary} then {quote_text(assigned.canary)} else {champion} end"
