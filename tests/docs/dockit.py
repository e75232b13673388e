"""Reading the pages under ``docs/``: their blocks of code, their tables, the parts under their headings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"`([^`\n]+)`")

PATIENCE = 20.0  # seconds that anything here may take before the test fails


@dataclass(frozen=True)
class Running:
    """The server that the examples run on."""

    url: str
    write: str
    admin: str
    data: Path


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    found: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for said, block in found if said == language]


def part(text: str, heading: str) -> str:
    """What stands under a heading, down to the next of the same or a higher level."""
    level = heading.index(" ")
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"There is no heading {heading!r}"
    return found[1]


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose header begins with the column ``first``, as cells."""
    lines = iter(text.splitlines())
    assert any(line.startswith(f"| {first} |") for line in lines), f"There is no table with the column {first!r}"
    next(lines)
    rows: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])])
    return rows


def code(cell: str) -> str:
    """The first piece of code in a cell."""
    found = CODE.search(cell)
    assert found, f"There is no code in {cell!r}"
    return found[1]


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Every module that is shipped, parsed."""
    for top in ("engine/overture", "plugins"):
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))
