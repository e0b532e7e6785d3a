"""The pages that show what was watched: a trend picture per model, and an index of all monitoring runs.

What is drawn is read by `trend`; the page of a run is Evidently's, written by `drift`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final

from feature_repo.lake import Lake, read_lake
from feature_repo.whole_files import write_whole
from scoring.alarm import AlarmRule

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

_NAMED: Final = 6
_SHOWN: Final = 1_000
_INDEX: Final = "index.html"
_RUNS: Final = (
    "select run_id, model, started_at, outcome, details from ops.runs where kind = 'monitor' "
    "order by started_at desc, run_id desc limit ?"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>scorelake: what was watched</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #1a202c }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .3em .8em .3em 0; border-bottom: 1px solid #e2e8f0; vertical-align: top }}
td.ALARM, td.failed, td.refused {{ color: #c53030; font-weight: bold }}
td.odd {{ color: #c05621 }}
img {{ max-width: 100% }}
</style>
</head>
<body>
<h1>What was watched</h1>
{pictures}
<table>
<thead><tr><th>run (UTC)</th><th>model</th><th>verdict</th><th>what drifted</th><th>report</th></tr></thead>
<tbody>
{lines}
</tbody>
</table>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A line of the index: a monitoring run, its verdict, and the name of its report if that is there."""

    run_id: str
    model: str
    started_at: datetime
    verdict: str
    drifted: tuple[str, ...]
    report: str | None


def write_overview(lake: Lake, model: str, rule: AlarmRule) -> "Path":
    """Write the model's trend picture and the index anew; returns the index. Readers see the old ones or the new."""
    from scoring.trend import draw_trend, read_trend  # noqa: PLC0415 - matplotlib takes half a second

    folder = lake.home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    with read_lake(lake) as connection:
        trend = read_trend(connection, model, rule)
        lines = read_run_lines(connection, folder)
    write_whole(folder / f"trend-{model}.svg", draw_trend(trend))
    index = folder / _INDEX
    write_whole(index, build_index(lines, sorted(file.name for file in folder.glob("trend-*.svg"))))
    return index


def delete_reports(lake: Lake, *, before: datetime) -> int:
    """Delete what runs left under `reports/` and was written before an instant (UTC); returns how many files.

    The index and the trend stay, and the runs stay in the index without their report.
    """
    old = [
        file
        for pattern in ("*.html", "*.png")
        for file in (lake.home / "reports").glob(pattern)
        if file.name != _INDEX and file.stat().st_mtime < before.timestamp()
    ]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def read_run_lines(connection: "duckdb.DuckDBPyConnection", folder: "Path") -> tuple[RunLine, ...]:
    """Read the monitoring runs, the newest first, with the reports that are still there."""
    rows = connection.execute(_RUNS, [_SHOWN]).fetchall()
    there = {file.name for file in folder.glob("*.html")}
    return tuple(_read_line(*row, there=there) for row in rows)


def _read_line(
    run_id: str, model: str, started_at: datetime, outcome: str, details: str | None, *, there: set[str]
) -> RunLine:
    told: dict[str, Any] = json.loads(details or "{}")
    verdict = outcome
    if outcome == "done":
        verdict = "ALARM" if told.get("is_alarm") else "odd" if told.get("is_violated") else "quiet"
    report = f"{run_id}.html"
    return RunLine(
        run_id, model, started_at, verdict, tuple(told.get("drifted", ())), report if report in there else None
    )


def build_index(lines: Sequence[RunLine], pictures: Sequence[str]) -> str:
    """Build the index: the pictures, and a line per run in the order given."""
    shown = "\n".join(
        f'<p><a href="{escape(one)}"><img src="{escape(one)}" alt="{escape(one)}"></a></p>' for one in pictures
    )
    return _PAGE.format(pictures=shown, lines="\n".join(map(_build_line, lines)))


def _build_line(line: RunLine) -> str:
    more = f" and {len(line.drifted) - _NAMED} more" if len(line.drifted) > _NAMED else ""
    report = f'<a href="{escape(line.report)}">report</a>' if line.report else ""
    return (
        f'<tr id="{escape(line.run_id)}"><td>{line.started_at:%Y-%m-%d %H:%M}</td><td>{escape(line.model)}</td>'
        f'<td class="{escape(line.verdict)}">{escape(line.verdict)}</td>'
        f"<td>{escape(', '.join(line.drifted[:_NAMED]))}{more}</td><td>{report}</td></tr>"
    )
