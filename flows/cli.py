"""The command line: one command per thing an operator does, each a thin call of a flow or a reader.

The everyday commands are here, those about input in `cli_ingest`, about models in `cli_models`, about scoring in
`cli_scoring`, about serving in `cli_serving`, about what goes in `cli_upkeep`, about backups in `cli_backup`, about
operating it in `cli_operations`. Heavy libraries are imported where they are used, so that `--help` and `sql` answer at
once. How output looks is in `terminal` and `report`.
"""

from pathlib import Path
from typing import Annotated

import typer

from flows import terminal
from flows.cli_backup import add_backup_commands
from flows.cli_ingest import ingest_app, quarantine_app
from flows.cli_models import add_model_commands
from flows.cli_operations import add_operation_commands
from flows.cli_scoring import add_scoring_commands
from flows.cli_serving import add_serving_commands
from flows.cli_upkeep import add_upkeep_commands
from flows.terminal import Json, Model

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Batch scoring of YouTube comments on a feature store, published as DuckDB tables.",
)


def main() -> None:
    """Run the command line; an error of ours becomes a sentence and an exit code, never a stack trace."""
    terminal.run(app)


@app.command()
def demo(
    comments: Annotated[int, typer.Option(min=2_000, help="Comments to generate.")] = 8_000,
    seed: Annotated[int, typer.Option(help="Another seed tells another history.")] = 7,
    as_json: Json = False,
) -> None:
    """Walk the whole road on generated comments: quiet weeks, a drifting one, a candidate the gate refuses.

    Example: `scorelake demo --comments 12000`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.demo import build_report, prepare_demo, run_demo
        from flows.sample import Sample
        from flows.settings import read_settings

        settings = read_settings()
        files = prepare_demo(settings, Sample(comments, seed), terminal.say)
        session.wait()
        session.show(run_demo(settings, files, terminal.say), build_report)


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Folder for the files; made if missing.")],
    comments: Annotated[int, typer.Option(min=1, help="Comments to generate.")] = 8_000,
    seed: Annotated[int, typer.Option(help="Another seed tells another history.")] = 7,
    days: Annotated[int, typer.Option(min=8, help="Days, of which the last is yesterday.")] = 28,
    as_json: Json = False,
) -> None:
    """Write files of generated comments, videos, channels and labels, to try the commands on.

    Example: `scorelake sample build/sample --comments 3000`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.recent_sample import build_report, write_recent

        show(write_recent(folder, comments=comments, seed=seed, days=days), build_report)


app.add_typer(ingest_app, name="ingest")
app.add_typer(quarantine_app, name="quarantine")


@app.command()
def apply(as_json: Json = False) -> None:
    """Make or migrate the lake's tables and register the feature definitions with Feast.

    Example: `scorelake apply`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.apply import apply as run
        from flows.apply import build_report

        show(run(), build_report)


@app.command()
def materialize(as_json: Json = False) -> None:
    """Compute the features of everything ingested since the last time.

    Example: `scorelake materialize`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.materialize import build_report
        from flows.materialize import materialize as run

        session.wait()
        session.show(run(), build_report)


@app.command()
def features(as_json: Json = False) -> None:
    """List services, views and features, with their meaning, freshness and null shares.

    Example: `scorelake features`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.features import build_report, read_features

        show(read_features(), build_report)


add_model_commands(app)


add_scoring_commands(app)
add_serving_commands(app)


@app.command()
def monitor(
    model: Model,
    days: Annotated[int, typer.Option(min=1, help="Length of the current window.")] = 7,
    as_json: Json = False,
) -> None:
    """Compare the newest days of scored comments with those before, and count what comes; see reports/index.html.

    Example: `scorelake monitor sentiment --days 7`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.monitor import build_report
        from flows.monitor import monitor as run

        session.wait()
        session.show(run(model, days=days), build_report)


add_upkeep_commands(app)
add_backup_commands(app)
add_operation_commands(app)


@app.command()
def skew(
    model: Model,
    rows: Annotated[int, typer.Option(min=1, help="Logged rows to look at.")] = 200,
    as_json: Json = False,
) -> None:
    """Compare features as they were used with the same features found again (exit code 3 if any differs).

    Example: `scorelake skew sentiment --rows 500`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.skew import SkewFound, build_report
        from flows.skew import skew as run

        session.wait()
        try:
            session.show(run(model, rows=rows), build_report)
        except SkewFound as found:
            session.show(found.receipt, build_report)
            raise


@app.command()
def status(as_json: Json = False) -> None:
    """Say how the lake stands: tables, champions, what is owed, and the last runs.

    Example: `scorelake status`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.status import build_report, read_status

        show(read_status(), build_report)


@app.command()
def publish(as_json: Json = False) -> None:
    """Publish the scores as one plain DuckDB file, published/scorelake.duckdb, which any client opens.

    Example: `scorelake publish`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.publish import build_report
        from flows.publish import publish as run

        show(run(), build_report)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    format_: Annotated[terminal.Format, typer.Option("--format", help="How rows are written.")] = terminal.Format.table,
    output: Annotated[Path | None, typer.Option(help="File to write; the terminal if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Query the lake, read-only.

    Example: `scorelake sql "select label, count(*) from scores.sentiment_current group by label"`
    """
    from flows.query import run_query

    run_query(query, format_, output, is_overwriting=overwrite)


if __name__ == "__main__":
    main()
