"""Each document under bad/ says in its first line what is wrong with it and where; just that must be found."""

from __future__ import annotations

from pathlib import Path

import pytest
from trialkit import SHOP, tried

from overture.model import Diagnostic
from overture.rules.codes import CODES
from overture.trial.reading import inspect, inspect_tests

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))


def told(findings: list[Diagnostic]) -> list[str]:
    return [f"{d.code}@{d.line}:{d.column}" for d in findings]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name.partition(".")[0])
def test_exactly_the_expected_finding(path: Path) -> None:
    text = path.read_text("utf-8")
    result, found = tried(text)
    assert told(found) == [text.partition("\n")[0].removeprefix("# expect: ")], [d.message for d in found]
    assert all(d.message and not d.message.endswith(".") for d in found)
    if found[0].severity == "error":
        assert result is None or (result.invalid and not result.tests and not result.passed)
    else:
        assert result is not None
        assert result.passed


def test_the_corpus_covers_the_codes_of_tests() -> None:
    drawn = {path.read_text("utf-8").partition("@")[0].removeprefix("# expect: ") for path in BAD}
    assert {code for code in CODES if code.startswith("test.")} <= drawn


def test_everything_is_told_at_once() -> None:
    _, found = tried("tests:\n  - name: t\n    at: now\n    steps:\n      - advance: x\n      - fact: {}\n      - {}\n")
    assert told(found) == ["test.instant@3:9", "test.duration@5:18", "ruleset.missing_key@6:15", "test.step@7:9"]


def test_the_hints_name_what_is_near() -> None:
    steps = "[{fact: {type: veiwed, path: /}}, {expect: {scores: {laed: 0}, suppressed: {nwes: null}}}]"
    _, found = tried(f"tests:\n  - name: t\n    steps: {steps}\n")
    assert [d.hint for d in found] == ["Did you mean 'viewed'?", "Did you mean 'lead'?", "Did you mean 'news'?"]


def test_tests_in_the_ruleset_itself() -> None:
    section = "tests:\n  - name: t\n    steps: [{expect: {scores: {lead: 0}}}]\n"
    ruleset, trials, found = inspect(SHOP + section)
    assert [d.code for d in found] == ["template.may_be_missing"]
    assert ruleset is not None
    assert [trial.name for trial in trials] == ["t"]
    assert [step.place.line for step in trials[0].steps] == [SHOP.count("\n") + 3]
    broken, none, found = inspect(SHOP + section.replace("expect", "exepct"))
    assert (broken, none) == (None, ())
    assert [d.code for d in found if d.severity == "error"] == ["ruleset.unknown_key"]


def test_no_tests_where_there_are_errors() -> None:
    assert inspect_tests("tests: 3")[0] == ()
    assert [d.code for d in inspect_tests("")[1]] == ["document.syntax"]
