"""`python -m bench.template`: a channel from the template, from an empty directory to a message that arrives.

In a directory and an environment of its own: Overture is installed from this checkout, `overture new channel` writes
the package, which is installed, shown by `overture plugins`, held to the contract of channels, and sent through by a
ruleset in a whole server. Prints the seconds of each step; ends with 1 where one fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from overture.model.environ import without_settings

CHECKOUT = Path(__file__).parents[1]
NAME = "pigeon"
PATIENCE = 900.0  # seconds for a step: what is installed may have to be fetched and built


def main() -> int:
    table = Table("step", "seconds", title="A channel from the template")
    with tempfile.TemporaryDirectory(prefix="overture-template-") as directory:
        here, package = Path(directory), Path(directory) / f"overture-{NAME}"
        tools = here / ".venv" / "bin"
        pytest = [str(tools / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        steps: list[tuple[str, list[str], Path, str]] = [
            ("a new environment", [sys.executable, "-m", "venv", ".venv"], here, ""),
            ("install Overture", [str(tools / "pip"), "install", "--quiet", str(CHECKOUT)], here, ""),
            (
                "overture new channel",
                [str(tools / "overture"), "new", "channel", NAME],
                here,
                "pyproject.toml: written",
            ),
            ("install the package", [str(tools / "pip"), "install", "--quiet", "-e", ".[test]"], package, ""),
            (
                "overture plugins --local",
                [str(tools / "overture"), "plugins", "--local", "--json"],
                package,
                f'"{NAME}"',
            ),
            ("its contract tests", [*pytest, "-k", "contract"], package, "1 passed"),
            ("a ruleset sends through it", [*pytest, "-k", "ruleset"], package, "1 passed"),
        ]
        for what, command, where, said in steps:
            began = time.perf_counter()
            done = subprocess.run(
                command, cwd=where, env=_environ(tools), capture_output=True, text=True, timeout=PATIENCE
            )
            if done.returncode or said not in done.stdout:
                Console(stderr=True).print(f"{what} failed:\n{done.stdout}{done.stderr}", markup=False)
                return 1
            table.add_row(what, f"{time.perf_counter() - began:.1f}")
    Console().print(table)
    return 0


def _environ(tools: Path) -> dict[str, str]:
    """Nothing of the environment that this runs in, but what finds programs."""
    left = {name: value for name, value in without_settings().items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**left, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


if __name__ == "__main__":
    sys.exit(main())
