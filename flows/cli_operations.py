"""Commands about operating it: deployments, everything in one terminal, and what is wrong."""

import os
from pathlib import Path
from typing import Annotated

import typer

from feature_repo.errors import Unavailable
from flows import terminal
from flows.terminal import Json


def add_operation_commands(app: typer.Typer) -> None:
    """Give an app the commands of this module."""
    for command in (up, deploy, doctor, settings, migrate):
        app.command()(command)


def up(as_json: Json = False) -> None:
    """Start everything in one terminal: Prefect's server, UI and worker, the deployments, MLflow's UI; Ctrl-C ends it.

    What dies is started again. Prefect has port 4200 and MLflow 5000 if they are free, on this machine only; state and
    logs are below SCORELAKE_HOME. Other commands on the same home use this server. On a new home the tables and
    feature definitions are made first.

    Example: `scorelake up`
    """
    from flows.settings import read_settings
    from flows.up import build_report
    from flows.up import up as run

    settings = read_settings()
    os.environ["SCORELAKE_HOME"] = str(settings.home)
    with terminal.session(as_json=as_json) as show:
        run(settings.lake, settings.prefect_address, _say, lambda receipt: show(receipt, build_report))


def deploy(
    check: Annotated[
        bool, typer.Option("--check", help="Compare and change nothing; exit code 3 if it differs.")
    ] = False,
    remove_outdated: Annotated[
        bool, typer.Option("--remove-outdated", help="Remove deployments of earlier releases.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Apply prefect.yaml to the Prefect server and verify every deployment, with its schedule and limit.

    The server is that of PREFECT_API_URL, or else that of a running `scorelake up`. Safe to repeat: what was changed
    there by hand is put right and told, but for what was switched off, which stays off.

    Example: `scorelake deploy --check`
    """
    from flows.server import find_api, set_environment
    from flows.settings import read_settings

    settings = read_settings()
    home = settings.home
    set_environment(home, settings.prefect_address)
    api = find_api(home)
    if not api:
        raise Unavailable(f"no Prefect server: run `scorelake up` on {home}, or set PREFECT_API_URL to one")
    os.environ["PREFECT_API_URL"] = api
    with terminal.session(as_json=as_json) as show:
        from flows.deploy import build_report, check_deployments
        from flows.deploy import deploy as run

        log = home / "logs" / "deploy.log"
        show(check_deployments(api) if check else run(api, log, is_removing=remove_outdated), build_report)


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right what can be; without it nothing changes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look for what is wrong around the runs, and say why it matters and what to do (exit code 3 if anything is left).

    DuckDB's extensions, the lake's catalog and files, its tables and this release, locks and files that dead runs left,
    free space; and, if a Prefect server runs, its release, workers, runs without a process, stuck slots, schedules.

    Example: `scorelake doctor --repair`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.doctor import SomethingWrong, build_report
        from flows.doctor import doctor as run

        try:
            show(run(is_repairing=repair), build_report)
        except SomethingWrong as found:
            show(found.receipt, build_report)
            raise


def _say(line: str) -> None:
    """Print a line at once and whole: addresses and paths are copied from it."""
    typer.echo(line, err=True)


def settings(as_json: Json = False) -> None:
    """Show every setting with its value and where that comes from; secrets are masked.

    Example: `SCORELAKE_ENVIRONMENT=staging scorelake settings`
    """
    from flows.setting_report import build_report, read_shown

    with terminal.session(as_json=as_json) as show:
        show(read_shown(), build_report)


def migrate(
    home: Annotated[Path, typer.Argument(help="Home of the lake that moves.")],
    as_json: Json = False,
) -> None:
    """Copy a lake, with its models, into the empty one of the settings, and compare every table by digest.

    The lake that is left behind stays as it is. Snapshots, saved datasets and reports stay with it.

    Example: `SCORELAKE_PROFILE=team scorelake migrate ~/.scorelake`
    """
    with terminal.session(as_json=as_json) as show:
        from flows.migrate import build_report
        from flows.migrate import migrate as run

        show(run(home), build_report)
