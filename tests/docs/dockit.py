"""Reading the pages under ``docs/`` (blocks of code, tables, parts under headings), and a server to run them on."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from overture.model.environ import without_settings

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"`([^`\n]+)`")

PATIENCE = 90.0  # seconds that anything here may take before the test fails


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


def ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz") as answer:
            return answer.status == 200
    except HTTPError:
        return False


@contextmanager
def serving(directory: Path, data: str, **more: str) -> Iterator[Running]:
    """A server in a directory, with its data there; ``more``: settings by their variables."""
    own = {
        "OVERTURE_PORT": "0",
        "OVERTURE_DATA_DIR": str(directory / data),
        "OVERTURE_SMTP_URL": "smtp://127.0.0.1:9",
    }
    environ = without_settings() | own | more
    output = directory / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "overture.cli", "serve"], cwd=directory, env=environ, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not ((found := re.search(r"listens on (http://\S+)", output.read_text())) and ready(found[1])):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        keys = json.loads((directory / data / "keys.json").read_text())
        yield Running(found[1], keys["write"], keys["admin"], directory / data)
    finally:
        process.terminate()
        process.wait(PATIENCE)
