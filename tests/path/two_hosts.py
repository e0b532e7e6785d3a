"""Two hosts that start the same job at once, again and again: is there ever a second writer, is a run ever lost?

`SCORELAKE_TEST_POSTGRES=127.0.0.1:5432 python -m tests.path.two_hosts --rounds 50` gives two processes homes of their
own and host names of their own; they share a catalog, MLflow and Feast's registry on PostgreSQL, and files on S3. Both
are told at once to bring in the same comments, compute features and score what is owed. In some rounds one of them is
killed at a random instant. Counted is what the lake holds, and when each of them held the writer lock by PostgreSQL's
clock.
"""

import argparse
import csv
import json
import multiprocessing
import random
import secrets
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg

from feature_repo.catalogs.postgres import PostgresCatalog
from feature_repo.errors import ScorelakeError
from feature_repo.features.materialize import materialize_features
from feature_repo.lake import Lake, read_lake, write_lake
from feature_repo.retrieval import apply_definitions
from feature_repo.sources.ingest import IngestRequest, ingest_files
from feature_repo.sources.mapping import read_mapping
from feature_repo.storages.s3 import Bucket
from flows.sample import Sample, write_sample
from scoring.engine import LocalEngine
from scoring.owed import ScoreRequest, read_owed
from scoring.score import ScoreOptions, score_owed
from tests.conftest import migrate_all
from tests.object_server import BUCKET, serve_objects
from tests.services import make_database
from training.promote import promote_version
from training.spec import read_spec
from training.train import train_model

_PER_ROUND = 5
_START = datetime(2026, 11, 1, tzinfo=UTC)
_OVERLAPS = """
select count(*) from trial.writing as one join trial.writing as other
on one.id < other.id and one.host <> other.host and one.began_at < other.ended_at and other.began_at < one.ended_at
"""
_KNOWN_FILES = """
select path from __ducklake_metadata_lake.ducklake_data_file
union all select path from __ducklake_metadata_lake.ducklake_delete_file
union all select path from __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion
"""


@dataclass(slots=True)
class Outcome:
    """What came of a trial: what must be 0, and how often which answer was given."""

    rounds: int = 0
    kills: int = 0
    second_writers: int = 0
    comments_lost: int = 0
    comments_twice: int = 0
    owed_at_the_end: int = 0
    orphans: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def is_well(self) -> bool:
        """Whether nothing went wrong."""
        wrong = (self.second_writers, self.comments_lost, self.comments_twice, self.owed_at_the_end, self.orphans)
        return not any(wrong)


@contextmanager
def share_lake(folder: Path) -> Iterator[Lake]:
    """A lake on servers, as the first host sees it; with a table that notes who wrote when."""
    with ExitStack() as servers:
        catalog, mlflow, registry = (servers.enter_context(make_database()) for _ in range(3))
        server = servers.enter_context(serve_objects(folder / "objects"))
        bucket = Bucket(f"s3://{BUCKET}/shared", server.endpoint, key_id=server.key_id, secret_key=server.secret_key)
        with psycopg.connect(catalog, autocommit=True) as connection:
            connection.execute("create schema trial")
            connection.execute(
                "create table trial.writing (id bigserial primary key, host text, began_at timestamptz, "
                "ended_at timestamptz default 'infinity')"
            )
        yield Lake(
            folder / "first",
            catalog_address=catalog,
            mlflow_address=mlflow,
            registry_address=registry,
            bucket=bucket,
        )


def run_trial(lake: Lake, *, rounds: int, killed_share: float, seed: int) -> Outcome:
    """Have two hosts do the same work at once so often, on a lake with a champion of spam."""
    chance, outcome = random.Random(seed), Outcome()  # noqa: S311 - chance, not secrecy
    hosts = [_Host(replace(lake, home=lake.home.with_name(name)), name) for name in ("first", "second")]
    try:
        for number in range(rounds):
            file = _write_comments(lake.home.with_name("inbox") / f"{number}.csv", number)
            for host in hosts:
                host.ready()
            for host in hosts:
                host.tell(file, number)
            if chance.random() < killed_share:
                time.sleep(chance.uniform(0, 2.5))
                chance.choice(hosts).kill()
                outcome.kills += 1
            for host in hosts:
                outcome.answers.update(host.listen())
            outcome.rounds += 1
        hosts[0].ready()
        file = _write_comments(lake.home.with_name("inbox") / "last.csv", rounds)
        hosts[0].tell(file, rounds)
        outcome.answers.update(hosts[0].listen())
    finally:
        for host in hosts:
            host.end()
    _count(lake, rounds, outcome)
    return outcome


def _count(lake: Lake, rounds: int, outcome: Outcome) -> None:
    expected = [f"trial-{number}-{i}" for number in range(rounds + 1) for i in range(_PER_ROUND)]
    with read_lake(lake) as connection:
        scored = Counter(
            name
            for (name,) in connection.execute(
                "select comment_id from scores.spam where comment_id like 'trial-%'"
            ).fetchall()
        )
        known = {path.rpartition("/")[2] for (path,) in connection.execute(_KNOWN_FILES).fetchall()}
    files = {file.address.rpartition("/")[2] for file in lake.storage.list_files(lake.storage.data)}
    outcome.orphans = len(files - known)
    outcome.comments_lost = sum(name not in scored for name in expected)
    outcome.comments_twice = sum(count > 1 for count in scored.values())
    outcome.owed_at_the_end = read_owed(lake, ScoreRequest("spam")).rows
    with psycopg.connect(str(lake.catalog_address)) as connection:
        outcome.second_writers = int((connection.execute(_OVERLAPS).fetchone() or (1,))[0])


class _Host:
    """A process with a home and a host name of its own, started anew after it was killed."""

    def __init__(self, lake: Lake, name: str) -> None:
        self._lake, self._name = lake, name
        self._process: Any = None
        self._pipe: Connection | None = None

    def ready(self) -> None:
        if self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(self._lake, self._name, theirs))
            self._process.start()
            theirs.close()
            assert self._pipe.recv() == "ready"

    def tell(self, file: Path, number: int) -> None:
        assert self._pipe is not None
        self._pipe.send((str(file), number))

    def listen(self) -> list[str]:
        assert self._pipe is not None
        try:
            answers: list[str] = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return ["killed"]
        return answers

    def kill(self) -> None:
        """Kill it; it wrote until then at least."""
        with psycopg.connect(str(self._lake.catalog_address), autocommit=True) as connection:
            at = connection.execute("select clock_timestamp()").fetchone()
            self._process.kill()
            self._process.join()
            connection.execute(
                "update trial.writing set ended_at = %s where ended_at = 'infinity' and host = %s",
                [*(at or ()), self._name],
            )

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()


def _work(lake: Lake, name: str, pipe: Connection) -> None:
    socket.gethostname = lambda: name
    _note_writing(lake, name)
    pipe.send("ready")
    while True:
        try:
            file, number = pipe.recv()
        except EOFError:
            return
        pipe.send(
            [f"{job.__name__}: {_answer(job, lake, Path(file), number)}" for job in (_ingest, _materialize, _score)]
        )


def _answer(job: Any, lake: Lake, file: Path, number: int) -> str:
    for _ in range(3):  # as a deployment's retries
        try:
            return str(job(lake, file, number))
        except ScorelakeError as error:
            said = f"{error.family}"
        time.sleep(0.2)
    return said


def train_champion(lake: Lake) -> None:
    """Bring in a small sample, and train and promote a first model of spam."""
    files = write_sample(Sample(comments=2_000, days=14), lake.home.with_name("sample"))
    migrate_all(lake)
    with write_lake(lake, purpose="definitions"):
        apply_definitions(lake)
    batches: list[tuple[str, list[Path], str | None]] = [
        ("videos", [day.videos for day in files.days], None),
        ("comments", [day.comments for day in files.days], None),
        ("labels", [day.spam_labels for day in files.days], "spam"),
    ]
    now = _START - timedelta(days=1)
    for kind, paths, task in batches:
        ingest_files(lake, _request(kind, paths, now, task))
    receipt = materialize_features(lake, run_id=_name_run("materialize"), now=now)
    spec = read_spec("spam")
    train_model(lake, spec, run_id="train", now=now, data_version=receipt.owed.upto, candidate={"C": 1.0})
    promote_version(lake, "spam", "1", run_id="by-hand", now=now, overruling="the trial begins with it")


def _request(kind: Any, paths: list[Path], now: datetime, task: str | None = None) -> IngestRequest:
    return IngestRequest(
        kind=kind,
        paths=tuple(paths),
        mapping=read_mapping(),
        source="trial",
        run_id=_name_run("ingest"),
        now=now,
        author_key=b"a key for tests",
        task=task,
    )


def _name_run(kind: str) -> str:
    return f"{kind}-{socket.gethostname()}-{secrets.token_hex(4)}"


def _ingest(lake: Lake, file: Path, number: int) -> str:
    return f"{ingest_files(lake, _request('comments', [file], _at(number))).rows_accepted} rows"


def _materialize(lake: Lake, _: Path, number: int) -> str:
    receipt = materialize_features(lake, run_id=_name_run("materialize"), now=_at(number))
    return "nothing owed" if receipt.owed.is_nothing else "done"


def _score(lake: Lake, _: Path, number: int) -> str:
    receipt = score_owed(
        lake,
        ScoreRequest("spam"),
        run_id=_name_run("score-spam"),
        now=_at(number),
        options=ScoreOptions(1_000, LocalEngine(1)),
    )
    return "done" if receipt.rows_scored else "nothing owed"


def _note_writing(lake: Lake, name: str) -> None:
    """Have this process note, by PostgreSQL's clock, from when to when it held the writer lock."""
    hold = PostgresCatalog.hold

    @contextmanager
    def hold_and_note(catalog: PostgresCatalog, lock: str, purpose: str, wait_seconds: float) -> Iterator[bool]:
        with hold(catalog, lock, purpose, wait_seconds) as has_failed:
            if lock != "writer":
                yield has_failed
                return
            with psycopg.connect(str(lake.catalog_address), autocommit=True) as connection:
                row = connection.execute(
                    "insert into trial.writing (host, began_at) values (%s, clock_timestamp()) returning id", [name]
                ).fetchone()
                try:
                    yield has_failed
                finally:
                    connection.execute("update trial.writing set ended_at = clock_timestamp() where id = %s", row)

    PostgresCatalog.hold = hold_and_note


def _at(number: int) -> datetime:
    return _START + timedelta(minutes=number)


def _write_comments(file: Path, number: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["comment_id", "channel_id", "video_id", "author_id", "text", "published_at"])
        for i in range(_PER_ROUND):
            at = _at(number) - timedelta(seconds=i)
            writer.writerow(
                [f"trial-{number}-{i}", "c1", "v1", f"author {i}", f"Comment {i} of {number}", at.isoformat()]
            )
    return file


def main() -> None:
    """Run a trial and print what came of it; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--killed-share", type=float, default=0.2, help="share of the rounds in which one is killed")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, share_lake(Path(folder)) as lake:
        train_champion(lake)
        outcome = run_trial(lake, rounds=asked.rounds, killed_share=asked.killed_share, seed=asked.seed)
    print(json.dumps({name: getattr(outcome, name) for name in outcome.__slots__}, indent=2))  # noqa: T201 - a program of the command line
    raise SystemExit(not outcome.is_well)


if __name__ == "__main__":
    main()
