"""The terminal: sessions of commands, progress bars, and errors as sentences with exit codes."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from feature_repo.errors import BadData, ScorelakeError

if TYPE_CHECKING:
    from flows.report import Report
    from flows.server import LocalServer
    from scoring.owed import ScoreRequest

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Model = Annotated[str, typer.Argument(help="Name of the model, such as sentiment or spam.")]
EngineName = Literal["local", "dask"]
Show = Callable[[Any, Callable[[Any], "Report"]], None]


class Format(StrEnum):
    """How `sql` writes rows."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def run(app: typer.Typer) -> None:
    """Run the commands; an error of ours is printed as one sentence and ends with its exit code."""
    try:
        app()
    except ScorelakeError as error:
        _end(error)
    except OSError as error:
        from flows.failures import explain_denied

        denied = explain_denied(error)
        if denied is None:
            raise
        _end(denied)
    except KeyboardInterrupt:
        sys.exit(130)


def _end(error: ScorelakeError) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"{error.family}: {error}", style="red", markup=False, highlight=False)
    sys.exit(error.exit_code)


@contextmanager
def session(*, as_json: bool) -> Iterator[Show]:
    """Give a command the function that shows its receipt, as a report or as JSON."""

    def show(receipt: Any, build_report: Callable[[Any], "Report"]) -> None:
        from flows.report import build_json, print_report

        if as_json:
            sys.stdout.write(build_json(receipt) + "\n")
            sys.stdout.flush()  # a command may go on for days
        else:
            print_report(build_report(receipt), Console())

    yield show


@contextmanager
def watched_session(*, as_json: bool) -> Iterator[Show]:
    """Give a long command that is no flow what `session` gives, and progress bars on the error stream."""
    from flows.progress import watch_progress

    with session(as_json=as_json) as show, _show_progress() as progress, watch_progress(_watch_with(progress)):

        def show_after(receipt: Any, build_report: Callable[[Any], "Report"]) -> None:
            progress.stop()
            show(receipt, build_report)

        yield show_after


@dataclass(frozen=True, slots=True)
class FlowSession:
    """A command that runs a flow: its Prefect API starts while the command imports what it needs."""

    server: "LocalServer | None"
    progress: Progress
    show_receipt: Show
    until_end: ExitStack

    def wait(self) -> None:
        """Wait until the Prefect API answers; call it after the imports and before the flow."""
        if self.server is not None:
            waiting = self.progress.add_task("starting", total=None)
            self.server.wait()
            self.progress.remove_task(waiting)
        from flows.crashed import mark_process_of_runs
        from flows.prefect_api import explain_silence

        self.until_end.enter_context(explain_silence())
        self.until_end.enter_context(mark_process_of_runs())

    def show(self, receipt: Any, build_report: Callable[[Any], "Report"]) -> None:
        """Show a receipt, as a report or as JSON."""
        self.progress.stop()
        self.show_receipt(receipt, build_report)


@contextmanager
def flow_session(*, as_json: bool) -> Iterator[FlowSession]:
    """Give a command that runs a flow a Prefect API, and progress bars on the error stream."""
    from flows.progress import watch_progress
    from flows.server import serve_api
    from flows.settings import read_settings

    settings = read_settings()
    os.environ["SCORELAKE_HOME"] = str(settings.home)  # absolute from here on, also for what is started
    with (
        serve_api(settings.home, settings.prefect_address) as server,
        session(as_json=as_json) as show,
        _show_progress() as progress,
        watch_progress(_watch_with(progress)),
        ExitStack() as until_end,
    ):
        yield FlowSession(server, progress, show, until_end)


def _show_progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _watch_with(progress: Progress) -> Callable[[str, int, int | None], None]:
    bars: dict[str, TaskID] = {}

    def watch(stage: str, done: int, total: int | None) -> None:
        if stage not in bars:
            bars[stage] = progress.add_task(stage)
        progress.update(bars[stage], completed=done, total=total)

    return watch


def check_answerable() -> None:
    """Refuse to ask a person where nobody can answer: the server that a command starts for itself has no UI."""
    from flows.server import find_running_api
    from flows.settings import read_settings

    if not os.environ.get("PREFECT_API_URL") and not find_running_api(read_settings().home):
        raise BadData(
            "a person answers in the UI of a Prefect server; start one with `scorelake up`, or set PREFECT_API_URL"
        )


def say(line: str) -> None:
    """Print a line of a story at once, on the error stream, which leaves JSON alone."""
    Console(stderr=True).print(line, markup=False, highlight=False)


def find_version(model: str, wanted: str) -> str:
    """The number of the version that is called champion, previous, challenger or by its number."""
    from flows.owed import check_model
    from flows.settings import read_settings
    from training.registry import resolve

    check_model(model)
    return resolve(read_settings().lake, model, wanted).version


def show_nothing_owed(request: "ScoreRequest", *, dry_run: bool, as_json: bool) -> bool:
    """Answer from the ledger alone when nothing is owed, or only the question was asked.

    Returns whether the command is done: a run that owes nothing needs no flow and no server.
    """
    from flows.owed import build_report, check_model
    from flows.settings import read_settings
    from scoring.owed import read_owed
    from scoring.score import describe_owed

    check_model(request.model)
    lake = read_settings().lake
    owed = read_owed(lake, request)
    if not dry_run and (owed.rows or request.role == "backfill"):
        return False
    with session(as_json=as_json) as show:
        show(describe_owed(lake, owed), build_report)
    return True
