"""How fast the service is, beside a bare FastAPI with a pipeline from joblib, under the load of wrk (Debian: `wrk`).

    python -m tests.benchmarks.service HOME [--seconds 15] [--connections 8]

HOME is a lake with a champion of sentiment, and a second version of it for the swap; it is copied. All run on the same
cores, wrk too, one side after the other.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx

from feature_repo.lake import Lake, read_lake
from scoring.serving.keys import make_key
from tests.benchmarks.service_sides import fit_bare
from training.promote import promote_version
from training.promotions import read_standing
from training.resolved import resolve_again

_ROOT: Final = Path(__file__).parents[2]
_LUA: Final = Path(__file__).with_suffix(".lua")
_BODIES: Final = 200
_SIZES: Final = (1, 100)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: answers, errors among them, and milliseconds to an answer."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def run_load(url: str, bodies: Path, key: str, *, seconds: int, connections: int, is_fresh: bool = True) -> Load:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(_LUA), url]
    environment = os.environ | {"BODIES": str(bodies), "KEY": key, "FRESH": str(int(is_fresh))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Load(**json.loads(done.stdout.strip().splitlines()[-1]))


def read_comments(lake: Lake) -> list[tuple[str, str | None, str | None, str]]:
    with read_lake(lake) as connection:
        return connection.execute(
            "select text, scores.channel_id, scores.video_id, label from scores.sentiment_current as scores "
            "inner join raw.comments using (comment_id, text_id) where text is not null order by md5(comment_id)"
        ).fetchall()


def write_bodies(folder: Path, comments: Sequence[tuple[Any, ...]], size: int) -> dict[str, Path]:
    """Bodies of requests of so many texts, for either side; each text has a mark that the load makes its own."""
    files = {side: folder / f"{side}-{size}.jsonl" for side in ("scorelake", "scorelake with words", "bare")}
    with (
        files["scorelake"].open("w") as ours,
        files["scorelake with words"].open("w") as words,
        files["bare"].open("w") as bare,
    ):
        for number in range(_BODIES):
            some = [comments[(number * size + place) % len(comments)] for place in range(size)]
            texts = [
                {"text": f"{text} @@", "channel_id": channel, "video_id": video} for text, channel, video, _ in some
            ]
            ours.write(json.dumps({"texts": texts, "top_words": 0}) + "\n")
            words.write(json.dumps({"texts": texts, "top_words": 5}) + "\n")
            bare.write(json.dumps({"texts": [f"{text} @@" for text, *_ in some]}) + "\n")
    return files


@contextmanager
def start(arguments: Sequence[str], url: str, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=_ROOT, env=os.environ | environment)
    try:
        silence: object = "it is not ready"
        for _ in range(600):
            try:
                if httpx.get(url).status_code < 500:
                    break
            except httpx.TransportError as error:
                silence = error
            time.sleep(0.1)
        else:
            raise SystemExit(f"{arguments[0]} does not answer: {silence}")
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serve_scorelake(home: Path, port: int) -> Iterator[str]:
    key = make_key()
    environment = {
        "SCORELAKE_HOME": str(home),
        "SCORELAKE_API_KEYS": key.sha256,
        "SCORELAKE_SERVE_RATE": "10000000/minute",
        "SCORELAKE_SERVE_SECONDS": "30",
    }
    with start(["flows.cli", "serve", "--port", str(port)], f"http://127.0.0.1:{port}/health/ready", environment):
        yield key.key


def show(what: str, load: Load, size: int) -> None:
    line = (
        f"{what:28} {size:4} texts: {load.rate:8.1f} requests/s {load.rate * size:10,.0f} texts/s "
        f"p50 {load.p50_ms:7.1f} ms p99 {load.p99_ms:7.1f} ms errors {load.errors}"
    )
    print(line, flush=True)  # noqa: T201 - what a benchmark is for


def measure_swap(home: Path, port: int, bodies: Path, *, seconds: int, connections: int) -> None:
    """A champion is swapped in the middle of the load: no request may fail, and both versions must have answered."""
    lake = Lake(home)
    with read_lake(lake) as connection:
        standing = read_standing(connection, "sentiment")
    other = "2" if standing.champion == "1" else "1"
    resolve_again(lake, "sentiment", other)  # imports what promoting imports
    versions: set[str] = set()
    with serve_scorelake(home, port) as key:
        url = f"http://127.0.0.1:{port}"
        done: list[Load] = []
        loading = Thread(
            target=lambda: done.append(
                run_load(f"{url}/v1/sentiment/score", bodies, key, seconds=seconds, connections=connections)
            )
        )
        loading.start()
        time.sleep(2)
        promote_version(
            lake, "sentiment", other, run_id="swap", now=datetime.now(UTC), overruling="the benchmark swaps it"
        )
        while loading.is_alive():
            answer = httpx.post(
                f"{url}/v1/sentiment/score", json={"texts": [{"text": "hello"}]}, headers={"X-API-Key": key}, timeout=30
            )
            versions.add(answer.json()["model_version"])
            time.sleep(0.2)
        loading.join()
    show(f"swap, versions {sorted(versions)}", done[0], 100)
    if done[0].errors or len(versions) != 2:
        raise SystemExit("a request was lost, or nothing was swapped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--port", type=int, default=8377)
    parser.add_argument("--skip-swap", action="store_true")
    asked = parser.parse_args()
    how = {"seconds": asked.seconds, "connections": asked.connections}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = Path(shutil.copytree(asked.home.absolute(), folder / "home", symlinks=True))
        comments = read_comments(Lake(home))
        fit_bare([text for text, *_ in comments], [label for *_, label in comments], folder / "bare.joblib")
        files = {size: write_bodies(folder, comments, size) for size in _SIZES}
        for workers in (1, 2):
            arguments = ["tests.benchmarks.service_sides", str(folder / "bare.joblib"), str(asked.port), str(workers)]
            with start(arguments, f"http://127.0.0.1:{asked.port}/docs", {}):
                for size in _SIZES:
                    url = f"http://127.0.0.1:{asked.port}/score"
                    run_load(url, files[size]["bare"], "", seconds=3, connections=asked.connections)
                    show(f"bare, {workers} process(es)", run_load(url, files[size]["bare"], "", **how), size)
        with serve_scorelake(home, asked.port) as key:
            url = f"http://127.0.0.1:{asked.port}/v1/sentiment/score"
            for side, is_fresh in (("scorelake", True), ("scorelake with words", True), ("scorelake", False)):
                for size in _SIZES:
                    run_load(url, files[size][side], key, seconds=3, connections=asked.connections, is_fresh=is_fresh)
                    load = run_load(url, files[size][side], key, is_fresh=is_fresh, **how)
                    show(side if is_fresh else f"{side}, asked before", load, size)
        if not asked.skip_swap:
            measure_swap(
                home, asked.port, files[100]["scorelake"], seconds=4 * asked.seconds, connections=asked.connections
            )


if __name__ == "__main__":
    main()
