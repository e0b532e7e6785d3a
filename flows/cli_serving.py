"""Commands about one comment at a time: the service, and what is told to Prometheus."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import terminal
from flows.terminal import Json


def add_serving_commands(app: typer.Typer) -> None:
    """Give an app the commands of this module."""
    for command in (serve, metrics):
        app.command()(command)


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's need keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8321,
    new_key: Annotated[bool, typer.Option("--new-key", help="Make a key, show it and its hash, and end.")] = False,
    as_json: Json = False,
) -> None:
    """Serve the champions over HTTP, for one comment at a time; Ctrl-C ends it.

    Without SCORELAKE_API_KEYS it makes a key for this run and shows it.

    Example: `scorelake serve --port 8321`
    """
    with terminal.session(as_json=as_json) as show:
        if new_key:
            from flows.serve import build_key_report
            from scoring.serving.keys import make_key

            show(make_key(), build_key_report)
            return
        from flows.serve import build_report
        from flows.serve import serve as run
        from flows.settings import read_settings

        run(read_settings(), host, port, lambda receipt: show(receipt, build_report))


def metrics(
    output: Annotated[Path | None, typer.Option(help="File to write, whole; the terminal if not given.")] = None,
) -> None:
    """Tell Prometheus what batch runs have done; the service tells it, too, under /metrics.

    Example: `scorelake metrics --output /var/lib/prometheus/node-exporter/scorelake.prom`
    """
    from feature_repo.errors import BadData
    from feature_repo.whole_files import write_whole
    from flows.settings import read_settings
    from scoring.serving.batch_exposition import write_exposition

    said = write_exposition(read_settings().lake)
    if output is None:
        sys.stdout.write(said.decode())
        return
    try:
        write_whole(output, said)
    except OSError as error:
        raise BadData(f"cannot write {output}: {error.strerror}") from None
