"""README's "Run it every hour", followed to the letter on a new home: `python -m tests.path.operators_path`.

The commands are read from README and typed into shells, as an operator types them. First `scorelake up` in an empty
folder, and what it says to do next, until comments are scored by their deployments; whatever it keeps running is
killed, and it is ended with Ctrl-C. Then, on another home, the commands for a Prefect server of one's own. What README
promises is looked at, each in a line of its own; prints JSON, and exits with 1 if anything is otherwise. Some minutes.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from flows.processes import find_family
from flows.server import find_free_port
from flows.up_state import UpState, read_state
from tests.flows.operator_terminal import read_end
from tests.flows.prefect_calls import call, wait_for
from tests.path.readme import read_commands, read_section

SECTION = "Run it every hour"
((UP,), OWN_SERVER, *_) = read_commands(read_section(SECTION))
_LASTING = ("prefect worker", "mlflow server")
_ROAD = ("ingest/hourly", "materialize/hourly", "train/sentiment-weekly", "score/sentiment-hourly")


def read_own_server(home: str, api: str) -> list[str]:
    """The commands for a Prefect server of one's own, with a home and an address in the place of README's."""
    return [
        line.replace("/absolute/path", home).replace("http://prefect.internal:4200/api", api) for line in OWN_SERVER
    ]


def list_lasting() -> list[str]:
    """Those of them that run until they are ended."""
    return [line for line in OWN_SERVER if line.startswith(_LASTING)]


class Promises:
    """What was promised, and whether it was so."""

    def __init__(self) -> None:
        self.kept: dict[str, bool] = {}

    def note(self, promise: str, *, is_kept: bool) -> None:
        self.kept[promise] = is_kept
        sys.stderr.write(f"{'well' if is_kept else 'NOT SO'}: {promise}\n")

    def wait(self, promise: str, condition: Callable[[], Any], seconds: float = 300) -> None:
        """Note whether it comes to be in time."""
        try:
            wait_for(promise, condition, seconds)
        except BaseException as error:  # noqa: BLE001 - the rest is looked at all the same
            sys.stderr.write(f"{error}\n")
            self.note(promise, is_kept=False)
        else:
            self.note(promise, is_kept=True)


class Shell:
    """A terminal in a folder, with the project's commands on its path and nothing else set."""

    def __init__(self, folder: Path, **variables: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SCORELAKE_"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.folder, self.environment = folder, {**kept, "PATH": path, "COLUMNS": "200", **variables}

    def run(self, *lines: str) -> "subprocess.CompletedProcess[str]":
        """Type lines, one after the other, until one fails."""
        command = ["bash", "-ec", "\n".join(lines)]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    @contextmanager
    def keep(self, log: str, *lines: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Type lines, of which the last one stays; it is ended in the end, with all that it has started."""
        *before, last = lines
        command = ["bash", "-ec", "\n".join([*before, f"exec {last}"])]
        with (self.folder / log).open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        family = [psutil.Process(process.pid)]
        try:
            yield process
        finally:
            family += family[0].children(recursive=True) if process.poll() is None else []
            process.terminate()
            psutil.wait_procs(family, timeout=60)
            for one in family:
                if one.is_running():
                    one.kill()
            process.wait()


def follow_up(folder: Path, promises: Promises) -> None:
    """`scorelake up` in an empty folder, and on from there."""
    shell = Shell(folder)
    home = folder / ".scorelake"
    with shell.keep("up.log", UP) as process:
        promises.wait("it says that everything is up", lambda: "Everything is up" in (folder / "up.log").read_text())
        said = (folder / "up.log").read_text()
        state = read_state(home)
        if state is None:
            raise SystemExit(f"nothing is up: {said}")
        addresses = (state.prefect, state.mlflow, state.reports)
        promises.note("it says the addresses", is_kept=all(one in said for one in addresses))
        look_at_servers(state, promises)
        look_at_home(shell, home, promises)
        api = state.api
        bring_sample(shell, home, api, promises)
        look_at_deployments(api, promises)
        again = [line for line in (folder / "up.log").read_text().splitlines() if "started again" in line]
        promises.note(f"nothing has died by itself {again}", is_kept=not again)
        kill_each(home, promises)
        family = find_family(state.token, [])
        process.send_signal(signal.SIGINT)
        promises.wait("Ctrl-C ends it", lambda: process.poll() is not None, 120)
        alive = [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        promises.note("and all that it has started", is_kept=process.poll() == 0 and not alive)


def look_at_servers(state: UpState, promises: Promises) -> None:
    promises.wait("Prefect's server answers", lambda: call(f"{state.api}/health"), 10)
    promises.wait("MLflow's UI answers", lambda: call(f"{state.mlflow}/api/2.0/mlflow/registered-models/search") == {})
    listening = {
        one.laddr.ip
        for process in find_family(state.token, [])
        for one in process.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    }
    promises.note(f"on this machine only: {sorted(listening)}", is_kept=listening == {"127.0.0.1"})


def look_at_home(shell: Shell, home: Path, promises: Promises) -> None:
    """Tables, definitions, state and logs of a home that was new."""
    rows = shell.run('scorelake sql "select count(*) as n from raw.comments" --format json')
    promises.note(f"tables are made: {rows.stdout.strip()}", is_kept='"n": 0' in rows.stdout or '"n":0' in rows.stdout)
    features = shell.run("scorelake features --json")
    promises.note("definitions are made", is_kept=features.returncode == 0 and "sentiment_v1" in features.stdout)
    for name in ("prefect", "mlflow", "logs"):
        promises.note(f"{name}/ is below the home", is_kept=any((home / name).iterdir()))


def bring_sample(shell: Shell, home: Path, api: str, promises: Promises) -> None:
    """What `up` says to do next: files into the inbox, and the rest by hand; then the deployments, as of now."""
    before = count_runs(api)
    done = shell.run(
        "scorelake sample files --comments 3000",
        "scorelake ingest channels files/channels-*",
        "scorelake ingest videos files/videos-*",
        "scorelake ingest labels files/labels-sentiment-* --task sentiment",
        f"mkdir -p {home}/inbox/comments && cp files/comments-* {home}/inbox/comments",
    )
    promises.note(f"a sample comes in {done.stderr[-200:] if done.returncode else ''}", is_kept=done.returncode == 0)
    promises.note("commands beside it use its server", is_kept=count_runs(api) == before + 3)
    for name in _ROAD:
        promises.wait(f"{name} ends well", lambda name=name: run_deployment(api, name))  # type: ignore[misc]
    score = '"select count(*) > 2000 as is_scored from scores.sentiment_current" --format json'
    scored = shell.run(f"scorelake sql {score}")
    promises.note("comments are scored", is_kept="true" in scored.stdout)


def count_runs(api: str) -> int:
    by_hand = {"flow_runs": {"deployment_id": {"is_null_": True}}}
    return int(call(f"{api}/flow_runs/count", by_hand))


def run_deployment(api: str, name: str) -> bool:
    """Run a deployment now, and see how it ends."""
    deployment = call(f"{api}/deployments/name/{name}")["id"]
    run = call(f"{api}/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
    ended = wait_for(f"the end of {name}", lambda: read_end(api, run))
    if ended["state"]["type"] != "COMPLETED":
        raise RuntimeError(f"{name}: {ended['state']['message']}")
    return True


def look_at_deployments(api: str, promises: Promises) -> None:
    found = call(f"{api}/deployments/filter", {"limit": 200})
    limits = {one["global_concurrency_limit"]["limit"] for one in found}
    promises.note(f"{len(found)} deployments, each one at a time", is_kept=limits == {1})


def kill_each(home: Path, promises: Promises) -> None:
    """Whatever it keeps running is killed, and comes again."""
    state = read_state(home)
    if state is None:
        raise SystemExit("nothing is up any more")
    kept = {name: mark for name, mark in state.processes.items() if name != "up" and mark.find()}  # applying has ended
    for mark in kept.values():
        os.kill(mark.pid, signal.SIGKILL)
    time.sleep(1)

    def is_back() -> bool:
        again = read_state(home)
        return again is not None and all(
            again.processes[name].pid != mark.pid and again.processes[name].find() is not None
            for name, mark in kept.items()
        )

    promises.note(f"kept running: {', '.join(kept)}", is_kept=len(kept) == 4)
    promises.wait("what dies is started again", is_back)
    promises.wait("and answers", lambda: call(f"{state.api}/health"))


def follow_own_server(folder: Path, promises: Promises) -> None:
    """The commands for a Prefect server of one's own; README takes that one as given."""
    port, mlflow_port = find_free_port(), find_free_port()
    home, api = folder / "home", f"http://127.0.0.1:{port}/api"
    server = Shell(folder, PREFECT_HOME=str(folder / "server"), PREFECT_SERVER_ANALYTICS_ENABLED="false")
    shell = Shell(folder, MLFLOW_PORT=str(mlflow_port))
    export, *commands = read_own_server(str(home), api)
    first = [line for line in commands if not line.startswith(_LASTING)]
    worker, mlflow = (line for line in commands if line.startswith(_LASTING))
    with server.keep("server.log", f"prefect server start --host 127.0.0.1 --port {port}"):
        promises.wait("a server of one's own", lambda: call(f"{api}/health"))
        done = shell.run(export, *first)
        promises.note(f"{', '.join(first)} {done.stderr[-300:]}".strip(), is_kept=done.returncode == 0)
        with shell.keep("worker.log", export, worker), shell.keep("mlflow.log", export, mlflow):
            inbox = home / "inbox" / "comments"
            inbox.mkdir(parents=True, exist_ok=True)
            at = "2026-11-01T00:00:00Z"
            rows = f"comment_id,text,published_at,observed_at\nUg1,a comment,{at},{at}\n"
            (inbox / "comments.csv").write_text(rows)
            promises.wait("its worker runs ingest/hourly", lambda: run_deployment(api, "ingest/hourly"))
            promises.wait("and materialize/hourly", lambda: run_deployment(api, "materialize/hourly"))
            promises.wait("mlflow server answers", lambda: call_health(mlflow_port), 120)
            checked = shell.run(export, "scorelake deploy --check --json")
            promises.note("deploy --check agrees", is_kept=checked.returncode == 0)
            found = shell.run(export, "scorelake sql 'select text from raw.comments' --format csv")
            promises.note("the comment is in its lake", is_kept="a comment" in found.stdout)


def call_health(port: int) -> bool:
    """MLflow answers in plain text."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return bool(answer.read() == b"OK")


def main() -> None:
    """Follow both ways, and print what was promised and whether it was so."""
    # A shell without job control has what it puts into the background ignore Ctrl-C, and all that this starts with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    promises, started = Promises(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        follow_up(Path(folder) / "up", promises)
        follow_own_server(Path(folder) / "own", promises)
    wrong = [promise for promise, is_kept in promises.kept.items() if not is_kept]
    told = {"promises": len(promises.kept), "not so": wrong, "seconds": round(time.perf_counter() - started)}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
