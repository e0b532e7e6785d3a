"""The command line: one command per thing an operator does, each a thin call of a flow or a reader.

Heavy libraries are imported where they are used, so that `--help` and `sql` answer at once. How output
looks is in `terminal` and `report`.
"""

from pathlib import Path
from typing import Annotated, Optional

import typer

from flows import terminal

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Batch scoring of YouTube comments on a feature store, published as DuckDB tables.",
)
ingest_app = typer.Typer(help="Bring comments, videos, channels or labels into the lake.")
quarantine_app = typer.Typer(no_args_is_help=True, help="See and replay the input rows that were refused.")
app.add_typer(ingest_app, name="ingest")
app.add_typer(quarantine_app, name="quarantine")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Model = Annotated[str, typer.Argument(help="Name of the model, such as sentiment or spam.")]
Paths = Annotated[list[Path], typer.Argument(help="Files: .csv, .jsonl or .parquet.")]
MappingName = Annotated[
    Optional[str], typer.Option("--mapping", help="A preset, or a TOML file that says which column is what.")  # noqa: UP045 - typer reads this form
]
Source = Annotated[Optional[str], typer.Option(help="Name of the source; the mapping's name if not given.")]  # noqa: UP045


def main() -> None:
    """Run the command line; an error of ours becomes a sentence and an exit code, never a stack trace."""
    terminal.run(app)


def _ingest(kind: str, paths: list[Path], mapping: str | None, source: str | None, *, as_json: bool) -> None:
    with terminal.flow_session(as_json=as_json) as show:
        from flows.ingest import build_report, ingest  # noqa: PLC0415

        receipt = ingest(kind, [str(path.absolute()) for path in paths], mapping=mapping, source=source)
        show(receipt, build_report)


@ingest_app.callback(invoke_without_command=True)
def ingest_batch(
    context: typer.Context,
    revert: Annotated[Optional[str], typer.Option(help="Take this batch back.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> None:
    """Bring comments, videos, channels or labels into the lake, or take a batch back.

    Example: `scorelake ingest --revert ingest-20261120T081500-3fa9c1`
    """
    if context.invoked_subcommand is not None:
        return
    if revert is None:
        raise typer.BadParameter("name what to ingest (comments, videos, channels or labels), or --revert BATCH")
    with terminal.flow_session(as_json=as_json) as show:
        from flows.batches import build_revert_report  # noqa: PLC0415
        from flows.batches import revert as run  # noqa: PLC0415

        show(run(revert), build_revert_report)


@ingest_app.command("comments")
def ingest_comments(paths: Paths, mapping: MappingName = None, source: Source = None, as_json: Json = False) -> None:
    """Ingest comments, and their labels where the mapping knows them.

    Example: `scorelake ingest comments comments.csv --mapping youtube-statistics`
    """
    _ingest("comments", paths, mapping, source, as_json=as_json)


@ingest_app.command("videos")
def ingest_videos(paths: Paths, mapping: MappingName = None, source: Source = None, as_json: Json = False) -> None:
    """Ingest videos with their statistics and channels.

    Example: `scorelake ingest videos videos-stats.csv --mapping youtube-statistics`
    """
    _ingest("videos", paths, mapping, source, as_json=as_json)


@ingest_app.command("channels")
def ingest_channels(paths: Paths, mapping: MappingName = None, source: Source = None, as_json: Json = False) -> None:
    """Ingest channel statistics.

    Example: `scorelake ingest channels channels.jsonl`
    """
    _ingest("channels", paths, mapping, source, as_json=as_json)


@ingest_app.command("labels")
def ingest_labels(
    paths: Paths,
    task: Annotated[str, typer.Option(help="Model that learns from these labels, such as sentiment.")],
    mapping: MappingName = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Ingest labels of comments.

    Example: `scorelake ingest labels labels.csv --task sentiment`
    """
    with terminal.flow_session(as_json=as_json) as show:
        from flows.ingest import build_report, ingest  # noqa: PLC0415

        files = [str(path.absolute()) for path in paths]
        show(ingest("labels", files, mapping=mapping, source=source, task_name=task), build_report)


@quarantine_app.command("list")
def list_quarantine(
    batch: Annotated[Optional[str], typer.Option(help="Only the rows of this batch.")] = None,  # noqa: UP045
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the rows that were refused, and why.

    Example: `scorelake quarantine list --limit 10`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.batches import build_quarantine_report, read_quarantine  # noqa: PLC0415

        show(read_quarantine(batch, limit), build_quarantine_report)


@quarantine_app.command("replay")
def replay_quarantine(
    batch: Annotated[str, typer.Argument(help="Batch whose refused rows are tried again.")],
    mapping: MappingName = None,
    as_json: Json = False,
) -> None:
    """Try the refused rows of a batch again, for example with a corrected mapping.

    Example: `scorelake quarantine replay ingest-20261120T081500-3fa9c1 --mapping corrected.toml`
    """
    with terminal.flow_session(as_json=as_json) as show:
        from flows.batches import replay  # noqa: PLC0415
        from flows.ingest import build_report  # noqa: PLC0415

        show(replay(batch, mapping=mapping), build_report)


@app.command()
def apply(as_json: Json = False) -> None:
    """Make or migrate the lake's tables and register the feature definitions with Feast.

    Example: `scorelake apply`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.apply import apply as run  # noqa: PLC0415
        from flows.apply import build_report  # noqa: PLC0415

        show(run(), build_report)


@app.command()
def materialize(as_json: Json = False) -> None:
    """Compute the features of everything ingested since the last time.

    Example: `scorelake materialize`
    """
    with terminal.flow_session(as_json=as_json) as show:
        from flows.materialize import build_report  # noqa: PLC0415
        from flows.materialize import materialize as run  # noqa: PLC0415

        show(run(), build_report)


@app.command()
def train(model: Model, as_json: Json = False) -> None:
    """Train a model on what is labelled, evaluate it, and promote it if the gate lets it (exit code 3 if not).

    Example: `scorelake train sentiment`
    """
    with terminal.flow_session(as_json=as_json) as show:
        from flows.train import build_report, check_promoted  # noqa: PLC0415
        from flows.train import train as run  # noqa: PLC0415

        receipt = run(model)
        show(receipt, build_report)
        check_promoted(receipt)


@app.command()
def evaluate(
    model: Model,
    version: Annotated[Optional[str], typer.Option(help="Version; the champion if not given.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> None:
    """Evaluate a model version on the rows held out today.

    Example: `scorelake evaluate sentiment --version 2`
    """
    with terminal.flow_session(as_json=as_json) as show:
        from flows.evaluate import build_report  # noqa: PLC0415
        from flows.evaluate import evaluate as run  # noqa: PLC0415

        show(run(model, version=version), build_report)


@app.command()
def score(
    model: Model,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is owed and score nothing.")] = False,
    workers: Annotated[Optional[int], typer.Option(min=1, help="Local processes.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> None:
    """Score every comment the model owes, exactly once.

    Example: `scorelake score sentiment`
    """
    if terminal.show_nothing_owed(model, dry_run=dry_run, as_json=as_json):
        return
    with terminal.flow_session(as_json=as_json) as show:
        from flows.score import build_report  # noqa: PLC0415
        from flows.score import score as run  # noqa: PLC0415

        show(run(model, workers=workers), build_report)


@app.command()
def monitor(
    model: Model,
    days: Annotated[int, typer.Option(min=1, help="Length of the current window.")] = 7,
    as_json: Json = False,
) -> None:
    """Compare the newest days of scored comments with those before.

    Example: `scorelake monitor sentiment --days 7`
    """
    with terminal.flow_session(as_json=as_json) as show:
        from flows.monitor import build_report  # noqa: PLC0415
        from flows.monitor import monitor as run  # noqa: PLC0415

        show(run(model, days=days), build_report)


@app.command()
def status(as_json: Json = False) -> None:
    """Say how the lake stands: tables, champions, what is owed, and the last runs.

    Example: `scorelake status`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.status import build_report, read_status  # noqa: PLC0415

        show(read_status(), build_report)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    format_: Annotated[terminal.Format, typer.Option("--format", help="How rows are written.")] = terminal.Format.table,
    output: Annotated[Optional[Path], typer.Option(help="File to write; the terminal if not given.")] = None,  # noqa: UP045
) -> None:
    """Query the lake, read-only.

    Example: `scorelake sql "select label, count(*) from scores.sentiment_current group by label"`
    """
    with terminal.session(as_json=False):
        from flows.query import run_query  # noqa: PLC0415

        run_query(query, format_, output)


if __name__ == "__main__":
    main()
