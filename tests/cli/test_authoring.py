"""`overture new`, `fmt`, `schema`, `diff` on files: what is written, what is said, and the exit codes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs
import pytest

from overture.cli.main import run
from overture.rules.layout import laid_out
from overture.trial.keys import schema_of_rulesets, schema_of_tests

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "rulesets"
UGLY = "name: x\nkind:   Ruleset # what\napiVersion: 'overture/v1'\n"
TIDY = "apiVersion: overture/v1\nkind: Ruleset  # what\nname: x\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """The folder that commands run in."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("name", ["welcome", "a", "3-for-2", "x" * 64, "under_score-and-dash"])
def test_a_new_ruleset_works_at_once(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(["new", "ruleset", name]) == 0
    assert {path.name for path in here.iterdir()} == {f"{name}.yaml", f"{name}.test.yaml"}
    files = [f"{name}.yaml", f"{name}.test.yaml"]
    assert run(["check", *files]) == 0
    assert "warning" not in capsys.readouterr().out
    assert run(["test", ".", "--fail-on-empty", "--min-coverage", "50"]) == 0
    assert "2 tests, 0 failed" in capsys.readouterr().out
    assert run(["fmt", "--check", *files]) == 0
    assert capsys.readouterr().out == ""


def test_a_new_ruleset_goes_beside_the_shipped_ones(here: Path) -> None:
    for path in SHIPPED.glob("*.yaml"):
        (here / path.name).write_text(path.read_text())
    assert run(["new", "ruleset", "lead", "--folder", str(here)]) == 0
    assert run(["test", "."]) == 0


def test_a_new_ruleset_replaces_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.test.yaml").write_text("mine")
    assert run(["new", "ruleset", "a"]) == 2
    assert "a.test.yaml is there already" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["a.test.yaml"]
    assert (here / "a.test.yaml").read_text() == "mine"
    for name in ("A", "a b", "../a", "", "x" * 65):
        assert run(["new", "ruleset", name]) == 2
        assert "cannot be the name of a ruleset" in capsys.readouterr().err
    assert run(["new", "ruleset", "b", "--folder", "nowhere"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_fmt_lays_out_what_is_not(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ugly, tidy = here / "ugly.yaml", here / "tidy.yaml"
    ugly.write_text(UGLY)
    tidy.write_text(TIDY)
    assert run(["fmt", "--check", "ugly.yaml", "tidy.yaml"]) == 1
    assert capsys.readouterr().out == "ugly.yaml: would change\n"
    assert ugly.read_text() == UGLY
    assert run(["fmt", "ugly.yaml", "tidy.yaml"]) == 0
    assert capsys.readouterr().out == "ugly.yaml: laid out\n"
    assert ugly.read_text() == tidy.read_text() == TIDY
    assert run(["fmt", "--check", "ugly.yaml", "tidy.yaml"]) == 0


def test_fmt_of_what_cannot_be_laid_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "bad.yaml").write_text("a: [1\n")
    (here / "ugly.yaml").write_text(UGLY)
    assert run(["fmt", "bad.yaml", "ugly.yaml"]) == 2
    out = capsys.readouterr().out
    assert "bad.yaml:2:1: error document.syntax: " in out
    assert "ugly.yaml: laid out" in out
    assert (here / "bad.yaml").read_text() == "a: [1\n"
    for name, text, said in (
        ("x.json", "{}", "x.json is JSON"),
        ("key.yaml", f"? {'k' * 2000}\n: 1\n", "key.yaml: Another layout would change"),
    ):
        (here / name).write_text(text)
        assert run(["fmt", name]) == 2
        assert said in capsys.readouterr().err
        assert (here / name).read_text() == text
    assert run(["fmt"]) == 2
    assert run(["fmt", "nothing.yaml"]) == 2


def test_schema_is_printed_or_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema_of_rulesets()
    assert run(["schema", "--tests", "--out", "tests.json"]) == 0
    assert json.loads((here / "tests.json").read_text()) == schema_of_tests()
    jsonschema_rs.meta.validate(schema_of_tests())
    assert run(["schema", "--out", "no/where.json"]) == 2
    assert "no/where.json cannot be written" in capsys.readouterr().err


def test_diff_of_two_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (SHIPPED / "seo_guide.yaml").read_text()
    (here / "old.yaml").write_text(text)
    (here / "same.yaml").write_text(laid_out(f"# more\n{text.replace('description: ', 'description: Truly. ')}"))
    (here / "new.yaml").write_text(
        text.replace("add: 15", "add: 20").replace("    once_per: fact.guide\n", "").replace("Hello", "Good day")
        + "segments:\n  readers:\n"
    )
    assert run(["diff", "old.yaml", "same.yaml"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["diff", "old.yaml", "new.yaml"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(
        "~ rules downloaded once_per\n    - fact.guide\n~ rules downloaded then\n"
        '    - {"score": {"name": "lead", "add": 15}}\n'
    )
    assert '    + {"score": {"name": "lead", "add": 20}}\n' in said
    assert "+ segments readers\n~ templates more-on-topic text\n    - Hello {{ contact.first_name" in said
    assert run(["diff", "old.yaml", "new.yaml", "--json"]) == 1
    changes = json.loads(capsys.readouterr().out)
    assert [(c["kind"], c["facet"]) for c in changes] == [
        ("changed", "once_per"), ("changed", "then"), ("added", ""), ("changed", "text")
    ]  # fmt: skip
    assert run(["diff", "new.yaml", "old.yaml", "--json"]) == 1
    back = json.loads(capsys.readouterr().out)
    assert {(c["before"], c["after"]) for c in back if c["facet"] == "once_per"} == {(None, "fact.guide")}


def test_diff_of_what_is_no_ruleset(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "good.yaml").write_text((SHIPPED / "seo_guide.yaml").read_text())
    (here / "bad.yaml").write_text("kind: Ruleset\n")
    for old, new, said in (
        ("good.yaml", "bad.yaml", "bad.yaml:1:1: error ruleset.missing_key: "),
        ("bad.yaml", "good.yaml", "bad.yaml:1:1: error ruleset.missing_key: "),
        ("gone.yaml", "good.yaml", "overture: gone.yaml cannot be read: "),
    ):
        assert run(["diff", old, new]) == 2
        assert capsys.readouterr().err.startswith(said)
