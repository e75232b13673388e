"""``docs/testing.md`` is true: its tests pass, its failure is what is printed, its keys are the code's."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from dockit import CODE, ROOT, blocks, code, page, part, table
from rich.console import Console

from overture.cli.testing import FAILED, INVALID, PASSED, run_tests
from overture.deploy.scratch import COMPUTING
from overture.trial import reading
from overture.trial.keys import EXPECT, MESSAGE, STEP, TEST

PAGE = page("testing.md")
EXAMPLES = blocks(PAGE, "yaml")
COMMANDS, FAILURE = blocks(PAGE, "")


def run(directory: Path, text: str) -> tuple[int, str]:
    """Run a test document beside the shipped rulesets, as tests of ``seo_guide``."""
    for path in (ROOT / "rulesets").glob("*.yaml"):
        if ".test." not in path.name:
            shutil.copy(path, directory)
    (directory / "seo_guide.test.yaml").write_text(text)
    console = Console(record=True, quiet=False, width=1000, file=(directory / "output.txt").open("w"))
    exit_code = run_tests([directory], console, as_json=False, report=None, demand=True, least=0)
    return exit_code, console.export_text().replace(str(directory), "rulesets")


@pytest.mark.parametrize("text", EXAMPLES, ids=["first", "second"])
def test_every_example_passes(tmp_path: Path, text: str) -> None:
    exit_code, said = run(tmp_path, text)
    assert exit_code == PASSED, said
    assert "warning" not in said


def test_the_failure_is_what_is_printed(tmp_path: Path) -> None:
    text = """\
tests:
  # A failing one.
  - name: a guide makes a lead
    steps:
      - fact: {type: guide_downloaded, guide: seo}
      - expect: {segments: {qualified: true}}
"""
    exit_code, said = run(tmp_path, text)
    assert exit_code == FAILED
    assert said.startswith(FAILURE)


def test_exit_codes_and_options() -> None:
    assert [int(row[0]) for row in table(PAGE, "exit code")] == [PASSED, FAILED, INVALID]
    source = (ROOT / "engine/overture/cli/main.py").read_text("utf-8")
    options = {name.replace("-", "_") for name in re.findall(r"--([a-z][a-z-]+)", PAGE)}
    assert options == {"watch", "junit", "fail_on_empty", "min_coverage", "json"}
    assert all(f"    {name}: " in source for name in options - {"json"})
    paths = re.findall(r"^overture test (\S+)", COMMANDS, re.MULTILINE)
    assert paths == ["rulesets"] * 3


def test_the_keys_are_the_codes() -> None:
    assert tuple(code(row[0]) for row in table(part(PAGE, "## A test"), "key")) == tuple(TEST.keys)
    assert {code(row[0]) for row in table(part(PAGE, "## Steps"), "step")} == STEP.keys.keys() - {"backfill"}
    assert "`backfill: true`" in part(PAGE, "## Steps")
    expectations = part(PAGE, "## Expectations")
    assert tuple(code(row[0]) for row in table(expectations, "key")) == tuple(EXPECT.keys)
    assert MESSAGE.keys.keys() <= set(CODE.findall(expectations))
    assert reading.START in PAGE
    assert f"{COMPUTING} seconds of computing" in PAGE
