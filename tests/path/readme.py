"""The README, read by those who do what it says: its sections, their commands and their tables."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def read_section(title: str) -> str:
    """The text below a heading of the second level, up to the next one."""
    sections = re.split(r"^## (.*)\n", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True))[title]


def read_commands(section: str) -> list[list[str]]:
    """The commands of each block of code, comments cut off and continued lines joined."""
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return [re.sub(r"\s*\\\n\s*", " ", block).splitlines() for block in blocks]


def read_rows(section: str, header: str) -> list[list[str]]:
    """The cells of a table whose first heading is `header`, its headings left out."""
    lines = section.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
