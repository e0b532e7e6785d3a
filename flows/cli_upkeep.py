"""Commands about what goes: maintenance, and erasing on request."""

import sys
from typing import Annotated

import typer

from feature_repo.errors import BadData
from flows import terminal
from flows.terminal import Json

Comments = Annotated[list[str] | None, typer.Option(help="Id of a comment, as its source has it.")]
Authors = Annotated[list[str] | None, typer.Option(help="Id of an author, as the source has it: all their comments.")]


def add_upkeep_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(maintain)
    app.command()(erase)


def maintain(as_json: Json = False) -> None:
    """Expire the texts whose retention is over, take off the disk what was deleted, and merge small files.

    Texts of the sources in SCORELAKE_RETAINED_SOURCES expire SCORELAKE_RETENTION_DAYS days after they were last
    observed; scores and aggregates stay. What was deleted leaves the disk SCORELAKE_SNAPSHOT_DAYS days later, as does
    what dead runs left. Others may read and write meanwhile.

    Example: `scorelake maintain`
    """
    with terminal.flow_session(as_json=as_json) as session:
        from flows.maintain import build_report
        from flows.maintain import maintain as run

        session.wait()
        session.show(run(), build_report)


def erase(
    comment: Comments = None,
    author: Authors = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase comments, or all comments of authors, from everything below SCORELAKE_HOME; there is no way back.

    Texts, features, labels, scores, input rows and quarantine, in every snapshot, file and database; snapshots are
    given up at once, and the published file is written anew. The ledger keeps a receipt without personal data, which
    names the models that were trained on the comments. Both options may be given several times.

    Example: `scorelake erase --comment UgxKREWxIgDrw8w2e_Z4AaABAg --author @someone --dry-run`
    """
    if not comment and not author:
        raise typer.BadParameter("name what to erase: --comment ID, --author ID, or several of them")
    if not (yes or dry_run):
        _ask(len(comment or ()), len(author or ()))
    with terminal.session(as_json=as_json) as show:
        from flows.erase import build_report
        from flows.erase import erase as run

        show(run(comment or (), author or (), is_dry=dry_run), build_report)


def _ask(comments: int, authors: int) -> None:
    if not sys.stdin.isatty():
        raise BadData("erasing cannot be undone, and nobody can be asked here; add --yes, or look with --dry-run")
    typer.confirm(f"Erase {comments} comments and all of {authors} authors for good?", abort=True, err=True)
