"""Commands that score: what is owed, what is missing of the past, and a canary's share."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from feature_repo.errors import BadData
from flows import terminal
from flows.terminal import EngineName, Json, Model

Workers = Annotated[int | None, typer.Option(min=1, help="Processes; the setting if not given.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what is owed and what it would cost; score nothing.")]
Engine = Annotated[EngineName | None, typer.Option(help="Who runs partitions; the setting if not given.")]


def add_scoring_commands(app: typer.Typer) -> None:
    """Give an app the commands of this module."""
    for command in (score, backfill, compare, canary, explain):
        app.command()(command)


def score(
    model: Model,
    dry_run: DryRun = False,
    shadow: Annotated[
        str | None, typer.Option(help="Version that scores what production has scored; nothing of it is in force.")
    ] = None,
    engine: Engine = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Score every comment the model owes, exactly once.

    Example: `scorelake score sentiment`
    """
    from scoring.owed import ScoreRequest

    request = ScoreRequest(model)
    if shadow is not None:
        request = ScoreRequest(model, "shadow", terminal.find_version(model, shadow))
    if terminal.show_nothing_owed(request, dry_run=dry_run, as_json=as_json):
        return
    with terminal.flow_session(as_json=as_json) as session:
        from flows.owed import build_report
        from flows.score import score as run

        session.wait()
        session.show(run(model, shadow=request.version, workers=workers, engine=engine), build_report)


def backfill(  # noqa: PLR0917 - options
    model: Model,
    version: Annotated[
        str | None, typer.Option(help="Version, champion, previous or challenger; those in force if not given.")
    ] = None,
    published_from: Annotated[datetime | None, typer.Option(help="Only comments written since then (UTC).")] = None,
    published_to: Annotated[datetime | None, typer.Option(help="Only comments written before then (UTC).")] = None,
    instead_of: Annotated[
        str | None, typer.Option(help="Only comments whose score in force is by this version.")
    ] = None,
    dry_run: DryRun = False,
    engine: Engine = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Score what a version has not scored yet, however old, while hourly runs go on.

    Example: `scorelake backfill sentiment --published-from 2026-09-01 --published-to 2026-10-01`
    """
    since, until = _read_instant(published_from), _read_instant(published_to)
    if since and until and since >= until:
        raise BadData(f"--published-from must be before --published-to; found {since} and {until}")
    if dry_run:
        from scoring.owed import ScoreRequest

        number = terminal.find_version(model, version) if version else None
        request = ScoreRequest(model, "backfill", number, since, until, instead_of)
        terminal.show_nothing_owed(request, dry_run=True, as_json=as_json)
        return
    with terminal.flow_session(as_json=as_json) as session:
        from flows.owed import build_report
        from flows.score import backfill as run

        session.wait()
        receipt = run(model, version, since, until, instead_of, workers=workers, engine=engine)
        session.show(receipt, build_report)


def compare(
    model: Model,
    version: Annotated[str, typer.Option(help="Version, challenger or previous.")] = "challenger",
    against: Annotated[str, typer.Option(help="The version it is compared with.")] = "champion",
    since: Annotated[datetime | None, typer.Option(help="Only comments written since then (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """Compare two versions on the comments that both have scored: labels, confidence, kinds of text, who is right.

    Example: `scorelake compare sentiment --version 3 --since 2026-09-01`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.compare import build_report
        from flows.compare import compare as run

        session.wait()
        session.show(run(model, version, against, _read_instant(since)), build_report)


def canary(  # noqa: PLR0917 - options
    model: Model,
    share: Annotated[float | None, typer.Option(min=0.0001, max=1, help="Share of the channels, 0 to 1.")] = None,
    version: Annotated[str, typer.Option(help="Version, or challenger.")] = "challenger",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="End it; the champion scores its comments.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is withdrawn, for the ledger.")] = "withdrawn by hand",
    overrule: Annotated[str | None, typer.Option(help="Overrule the gate, for this reason.")] = None,
    as_json: Json = False,
) -> None:
    """Have a version score a stable share of the channels for production; a greater share widens it.

    Example: `scorelake canary sentiment --version 3 --share 0.05`, later `scorelake canary sentiment --withdraw`
    """
    if withdraw == (share is not None):
        raise BadData("say either --share or --withdraw")
    with terminal.flow_session(as_json=as_json) as session:
        from flows.canary import build_report, start_canary, withdraw_canary

        session.wait()
        if share is None:
            session.show(withdraw_canary(model, reason), build_report)
        else:
            session.show(start_canary(model, version, share, overruling=overrule), build_report)


def explain(
    comment_id: Annotated[str, typer.Argument(help="Id of the comment.")],
    model: Annotated[str, typer.Option(help="Model whose score is explained.")] = "sentiment",
    as_json: Json = False,
) -> None:
    """Show the words and features that moved a comment's score, and the data, run and version it rests on.

    Example: `scorelake explain Ug4dQOW9faQJxmKTfN_4AaABAg --model spam`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.explain import build_report
        from flows.explain import explain as run

        show(run(comment_id, model), build_report)


def _read_instant(given: datetime | None) -> datetime | None:
    """An instant of the command line, which tells no zone: UTC."""
    return given.replace(tzinfo=UTC) if given else None
