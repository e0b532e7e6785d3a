"""What the catalog bears: `SCORELAKE_TEST_POSTGRES=127.0.0.1:5432 python -m tests.benchmarks.commits`.

A lake on PostgreSQL is given Parquet files as a scoring run gives them: under the writer lock, in one transaction. A
file a commit, again and again; then more and more files in one commit, and after each a query that needs none of them.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
from rich.console import Console

from feature_repo.lake import Lake, add_files, read_lake, run_transaction, write_lake
from flows.report import Grid, Report, print_report
from tests.services import make_database

_ROW = "select i as comment_id, 'positive' as label, 0.5 as confidence from range(100) as numbers (i)"


class Files:
    """Parquet files of the table, each with its own name: copies of one, by another name for the same content."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._made, self._content = folder, 0, folder / "content.parquet"
        duckdb.sql(_ROW).write_parquet(str(self._content))

    def make(self, count: int) -> list[str]:
        """So many more of them."""
        made = [self._folder / f"{number:06d}.parquet" for number in range(self._made, self._made + count)]
        for file in made:
            os.link(self._content, file)
        self._made += count
        return [str(file) for file in made]


def commit(lake: Lake, files: list[str]) -> float:
    """Register files in a commit of their own; its seconds, the writer lock's included."""
    started = time.perf_counter()
    with write_lake(lake, purpose="benchmark") as connection:
        run_transaction(connection, lambda inside: add_files(inside, "scores.rows", files))
    return time.perf_counter() - started


def read_one(lake: Lake) -> float:
    """Seconds of a query whose filter leaves one file."""
    started = time.perf_counter()
    with read_lake(lake) as connection:
        connection.execute("select count(*) from scores.rows where comment_id < 0").fetchall()
    return time.perf_counter() - started


def main() -> None:
    """Commit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=200, help="commits of one file")
    parser.add_argument("--files", type=int, nargs="+", default=[100, 1_000, 5_000], help="files in one commit")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, make_database() as address:
        lake = Lake(Path(folder) / "home", catalog_address=address)
        with write_lake(lake, purpose="benchmark") as connection:
            connection.execute("create schema scores")
            connection.execute(f"create table scores.rows as {_ROW} limit 0")
        files = Files(Path(lake.storage.data) / "scores" / "rows")
        single = [commit(lake, files.make(1)) for _ in range(asked.commits)]
        tenth = max(1, asked.commits // 10)
        rows: list[tuple[object, ...]] = [
            (f"1, first {tenth}", f"{statistics.median(single[:tenth]) * 1e3:.0f} ms", "", ""),
            (f"1, last {tenth}", f"{statistics.median(single[-tenth:]) * 1e3:.0f} ms", "", ""),
        ]
        known = asked.commits
        for count in asked.files:
            seconds, known = commit(lake, files.make(count)), known + count
            asking = statistics.median(read_one(lake) for _ in range(5))
            each = f"{seconds / count * 1e3:.1f} ms"
            rows.append((f"{count:,}", f"{seconds:.2f} s", each, f"{asking * 1e3:.0f} ms with {known:,} files"))
        columns = ("files in a commit", "commit", "a file", "a query that needs none of them")
        facts = {"catalog": f"{lake.catalog.measure() / known:,.0f} bytes a file", "load": f"{os.getloadavg()[0]:.1f}"}
        print_report(Report("commits into a catalog on PostgreSQL", facts, (Grid(columns, tuple(rows)),)), Console())


if __name__ == "__main__":
    main()
