"""Commands about input: ingest, taking batches back, the quarantine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import terminal
from flows.terminal import Json

if TYPE_CHECKING:
    from flows.ingest import Kind

ingest_app = typer.Typer(help="Bring comments, videos, channels or labels into the lake.")
quarantine_app = typer.Typer(no_args_is_help=True, help="See and replay the input rows that were refused.")

Paths = Annotated[list[Path], typer.Argument(help="Files: .csv, .jsonl or .parquet.")]
MappingName = Annotated[
    str | None, typer.Option("--mapping", help="A preset, or a TOML file that says which column is what.")
]
Source = Annotated[str | None, typer.Option(help="Name of the source; the mapping's name if not given.")]


@ingest_app.callback(invoke_without_command=True)
def ingest_batch(
    context: typer.Context,
    revert: Annotated[str | None, typer.Option(help="Take this batch back.")] = None,
    as_json: Json = False,
) -> None:
    """Bring comments, videos, channels or labels into the lake, or take a batch back.

    Example: `scorelake ingest --revert ingest-20261120T081500-3fa9c1`
    """
    if context.invoked_subcommand is not None:
        return
    if revert is None:
        raise typer.BadParameter("name what to ingest (comments, videos, channels or labels), or --revert BATCH")
    with terminal.flow_session(as_json=as_json) as session:
        from flows.batches import build_revert_report
        from flows.batches import revert as run

        session.wait()
        session.show(run(revert), build_revert_report)


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
    _ingest("labels", paths, mapping, source, task=task, as_json=as_json)


@ingest_app.command("youtube")
def ingest_youtube(
    channel: Annotated[list[str] | None, typer.Option(help="Id of a channel, all of its videos.")] = None,
    video: Annotated[list[str] | None, typer.Option(help="Id of a video.")] = None,
    as_json: Json = False,
) -> None:
    """Ingest comments, videos and channels from the YouTube Data API; both options may be given several times.

    The key comes from SCORELAKE_YOUTUBE_API_KEY, or from the Prefect Secret block that
    SCORELAKE_YOUTUBE_API_KEY_BLOCK names. A run that uses up the day's quota ends with exit code 3; the next
    day's goes on where it stopped.

    Example: `scorelake ingest youtube --channel UC_x5XG1OV2P6uZZ5FSM9Ttw --video F1UP7wRCPH8`
    """
    if not channel and not video:
        raise typer.BadParameter("name what to ingest: --channel ID, --video ID, or several of them")
    with terminal.flow_session(as_json=as_json) as session:
        from feature_repo.sources.youtube_ingest import QuotaStop
        from feature_repo.sources.youtube_targets import check_ids
        from flows.youtube import build_report
        from flows.youtube import ingest_youtube as run

        check_ids(channel or (), video or ())  # a wrong id is said at once
        session.wait()
        try:
            session.show(run(channel, video), build_report)
        except QuotaStop as stop:
            session.show(stop.receipt, build_report)
            raise


@quarantine_app.command("list")
def list_quarantine(
    batch: Annotated[str | None, typer.Option(help="Only the rows of this batch.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many rows.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the rows that were refused, and why.

    Example: `scorelake quarantine list --limit 10`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.quarantine import build_report, read_quarantine

        show(read_quarantine(batch, limit), build_report)


@quarantine_app.command("replay")
def replay_quarantine(
    batch: Annotated[str, typer.Argument(help="Batch whose refused rows are tried again.")],
    mapping: MappingName = None,
    as_json: Json = False,
) -> None:
    """Try the refused rows of a batch again, for example with a corrected mapping.

    Example: `scorelake quarantine replay ingest-20261120T081500-3fa9c1 --mapping corrected.toml`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.batches import replay
        from flows.ingest import build_report

        session.wait()
        session.show(replay(batch, mapping=mapping), build_report)


def _ingest(
    kind: "Kind", paths: list[Path], mapping: str | None, source: str | None, *, as_json: bool, task: str | None = None
) -> None:
    with terminal.flow_session(as_json=as_json) as session:
        from feature_repo.sources.ingest import check_files
        from feature_repo.sources.mapping import read_mapping
        from flows.ingest import BatchRefused, build_report, ingest

        check_files(kind, tuple(paths), read_mapping(mapping))  # a wrong file is said at once
        session.wait()
        files = [str(path.absolute()) for path in paths]
        try:
            session.show(ingest(kind, files, mapping=mapping, source=source, task_name=task), build_report)
        except BatchRefused as refusal:
            session.show(refusal.receipt, build_report)
            raise
