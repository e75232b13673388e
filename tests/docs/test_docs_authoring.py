"""``docs/authoring.md`` is true: its commands run in their order, its addresses are routes, its example is said."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest
from dockit import blocks, page

from overture.cli.main import run
from overture.web import ROUTES

PAGE = page("authoring.md")


def test_the_commands_run_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks(PAGE, "") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("overture ")]
    assert {command[0] for command in commands} == {"new", "check", "test", "fmt", "schema", "diff"}
    with contextlib.chdir(tmp_path):
        for command in commands:
            assert run(command) == 0, command
        (example,) = (block for block in blocks(PAGE, "") if block.startswith("$ "))
        draft = Path("welcome.yaml").read_text().replace("once_per: 30m", "once_per: contact")
        Path("draft.yaml").write_text(f"{draft}  welcome_loyal:\n")
        capsys.readouterr()
        assert run(["diff", "welcome.yaml", "draft.yaml"]) == 1
        assert capsys.readouterr().out == example.partition("\n")[2]


def test_the_schema_of_a_server_is_a_route() -> None:
    (path,) = re.findall(r"\$schema=http://127.0.0.1:8080(/\S+)", PAGE)
    assert path in {route.path for route in ROUTES}
