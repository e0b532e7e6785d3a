"""A run's report, told once: as tables in a terminal, as Markdown in the Prefect UI, as JSON for scripts."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a header; numbers are shown right-aligned."""

    header: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a person wants to know of a run, most important first."""

    title: str
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)
    grids: tuple[Grid, ...] = ()
    notes: tuple[str, ...] = ()


def build_markdown(report: Report, links: Mapping[str, str] | None = None) -> str:
    """Build the Markdown of a report, with links to pages by what they show."""
    grids = [Grid(("", ""), tuple(report.facts.items())), *report.grids] if report.facts else report.grids
    leading = [f"[{said}]({url})" for said, url in (links or {}).items()]
    parts = [f"# {report.title}", *leading, *(_build_markdown_table(grid) for grid in grids), *report.notes]
    return "\n\n".join(parts)


def print_report(report: Report, console: Console) -> None:
    """Print a report as tables that fit the terminal."""
    console.print(f"[bold]{escape(report.title)}[/bold]")
    if report.facts:
        console.print(_build_table(Grid(("", ""), tuple(report.facts.items()))))
    for grid in report.grids:
        console.print(_build_table(grid))
    for note in report.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def build_json(receipt: Any) -> str:
    """Build the JSON of a receipt, a dataclass; instants in ISO 8601, paths as text."""
    content = dataclasses.asdict(receipt)
    return json.dumps(content, default=str, indent=2, ensure_ascii=False)


def show_age(age: timedelta) -> str:
    """Show an age in its own unit.

    >>> show_age(timedelta(minutes=5)), show_age(timedelta(hours=6)), show_age(timedelta(days=12))
    ('5 minutes', '6 hours', '12 days')
    """
    minutes = age / timedelta(minutes=1)
    units = ((2 * 1440, 1440, "days"), (2 * 60, 60, "hours"))  # no "1 days"
    size, name = next(((size, name) for least, size, name in units if minutes >= least), (1, "minutes"))
    return f"{minutes / size:.0f} {name}"


def _build_table(grid: Grid) -> Table:
    table = Table(title=grid.title or None, title_justify="left", show_header=any(grid.header))
    for index, name in enumerate(grid.header):
        is_number = any(isinstance(row[index], int | float) for row in grid.rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(escape(_format(value)) for value in row))
    return table


def _build_markdown_table(grid: Grid) -> str:
    lines: Sequence[Sequence[object]] = [grid.header, ["---"] * len(grid.header), *grid.rows]
    body = "\n".join("| " + " | ".join(_format(value).replace("|", "\\|") for value in line) + " |" for line in lines)
    return f"**{grid.title}**\n\n{body}" if grid.title else body


def _format(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
