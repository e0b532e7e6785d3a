"""Commands about models: train, evaluate, promote, roll back, reproduce, list."""

from typing import Annotated

import typer

from flows import terminal
from flows.terminal import Json, Model

Version = Annotated[str, typer.Argument(help="Version number.")]


def add_model_commands(app: typer.Typer) -> None:
    """Give an app the commands of this module, in the order of a model's life."""
    for command in (train, evaluate, promote, rollback, reproduce, models):
        app.command()(command)


def train(
    model: Model,
    again: Annotated[bool, typer.Option("--again", help="Train even if nothing has changed since.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Promote only what a person approves in the Prefect UI.")] = False,
    approval_hours: Annotated[float, typer.Option(help="How long to wait for the person.", min=0)] = 24,
    as_json: Json = False,
) -> None:
    """Train a model on what is labelled, evaluate it, and promote it if the gate lets it (exit code 3 if not).

    What was trained from the same data, features, settings, code and dependencies is not trained again.

    Example: `scorelake train sentiment`
    """
    if ask:
        terminal.check_answerable()
    with terminal.flow_session(as_json=as_json) as session:
        from flows.train import build_report, check_promoted
        from flows.train import train as run

        session.wait()
        receipt = run(model, is_again=again, needs_approval=ask, approval_hours=approval_hours)
        session.show(receipt, build_report)
        check_promoted(receipt)


def evaluate(
    model: Model,
    version: Annotated[str | None, typer.Option(help="Version; the champion if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model version on the rows held out today.

    Example: `scorelake evaluate sentiment --version 2`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.evaluate import build_report
        from flows.evaluate import evaluate as run

        session.wait()
        session.show(run(model, version=version), build_report)


def promote(
    model: Model,
    version: Version,
    overrule: Annotated[str | None, typer.Option(help="Overrule the gate, for this reason.")] = None,
    as_json: Json = False,
) -> None:
    """Make a version champion that the gate let pass, or, with a reason, one that it did not.

    Example: `scorelake promote sentiment 3`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.promotion import build_report
        from flows.promotion import promote as run

        show(run(model, version, overruling=overrule), build_report)


def rollback(
    model: Model,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "rolled back by hand",
    as_json: Json = False,
) -> None:
    """Make the previous champion champion again.

    Example: `scorelake rollback sentiment --reason "angry mails"`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.promotion import build_report
        from flows.promotion import rollback as run

        show(run(model, reason), build_report)


def reproduce(
    model: Model,
    version: Annotated[str, typer.Argument(help="Version number, champion or previous.")] = "champion",
    quick: Annotated[
        bool, typer.Option("--quick", help="Fit nothing: compare the data and the registered file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rebuild a version from its data and say whether it is the same, to the last bit (exit code 3 if it is not).

    Example: `scorelake reproduce sentiment 3`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.reproduce import NotReproduced, build_report
        from flows.reproduce import reproduce as run

        session.wait()
        try:
            session.show(run(model, version, is_quick=quick), build_report)
        except NotReproduced as found:
            session.show(found.receipt, build_report)
            raise


def models(as_json: Json = False) -> None:
    """List every version of every model, with its figures and who is champion.

    Example: `scorelake models`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.promotion import build_models_report, read_models

        show(read_models(), build_models_report)
