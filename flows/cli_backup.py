"""Commands about backups of the home."""

from pathlib import Path
from typing import Annotated

import typer

from feature_repo.errors import BadData
from flows import terminal
from flows.terminal import Json

Folder = Annotated[Path, typer.Argument(help="Folder of the backups; they share what is the same.")]


def add_backup_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(backup)
    app.command()(restore)


def backup(
    folder: Folder,
    with_settings: Annotated[
        bool, typer.Option("--with-settings", help="Include scorelake.env: the author key and other secrets.")
    ] = False,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove the oldest backups but so many; all stay if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Back up the home, as it is at one instant: lake, models, feature registry, Prefect's state, reports, inbox.

    Others may read and write meanwhile: writers wait for as long as the catalog alone is copied. What the folder has
    from earlier backups is not copied again. Folders and files are readable by their owner only. Not in it are
    scorelake.env, unless asked for, logs, and the published file, which `scorelake publish` makes. Of a lake on
    servers, catalog, files and models are in it as if they lay in the home; Prefect's state is not.

    Example: `scorelake backup /mnt/backups/scorelake --keep 30`
    """
    with terminal.watched_session(as_json=as_json) as show:
        from flows.backup import backup as run
        from flows.backup import build_backup_report

        show(run(folder, with_settings=with_settings, keep=keep), build_backup_report)


def restore(
    folder: Folder,
    name: Annotated[str | None, typer.Option(help="Backup to restore; the newest if not given.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="A home that is there makes way; it is kept under another name.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the backups and restore nothing.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all of a backup, compare digests, and restore nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into SCORELAKE_HOME, which must be empty or missing, or hold scorelake.env alone.

    All of it is copied beside the home and verified by digest before the home gets its place. A scorelake.env that is
    there is kept if the backup has none. Where the settings name servers, without a lake yet, it is moved into them.

    Example: `SCORELAKE_HOME=/srv/scorelake scorelake restore /mnt/backups/scorelake`
    """
    if ((list_ or verify) and replace) or (list_ and (verify or name)):
        raise BadData("--list and --verify restore nothing: use each by itself")
    with terminal.watched_session(as_json=as_json) as show:
        from flows import backup as backups

        if list_:
            show(backups.list_backups(folder), backups.build_list_report)
        elif verify:
            show(backups.verify(folder, name=name), backups.build_list_report)
        else:
            show(backups.restore(folder, name=name, is_replacing=replace), backups.build_restore_report)
