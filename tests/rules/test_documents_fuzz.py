"""Arbitrary text and mutilated documents draw diagnostics, never anything else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.rules.codes import CODES
from overture.rules.document import inspect, load
from overture.rules.report import RulesetInvalid

RULESETS = Path(__file__).parents[2] / "rulesets"
GOOD = [path.read_text() for path in sorted(RULESETS.glob("*.yaml")) if ".test." not in path.name]
WORDS = """{ } [ ] : " ' &a *a !!x | >- # \\ {{ {% %} }} ? , 0 null ~ * == ( ) when: fact. fact.type contact.scores é"""
BLANKS = ["- ", "\n", "\n  ", "\t", "\0", " and ", " not ", "= ", "\U0001f600", "\ud800", "---\n", "%YAML 1.1\n"]
PIECES = st.sampled_from([*WORDS.split(), *BLANKS])


def check(text: str) -> None:
    ruleset, found = inspect(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    assert all(d.code in CODES and 1 <= d.line <= lines and d.column >= 1 for d in found), found
    if ruleset is None:
        assert any(d.severity == "error" for d in found)
        with pytest.raises(RulesetInvalid):
            load(text)
    else:
        assert load(text) == ruleset


# The deadline is no measurement: it stands between milliseconds and a runaway.
limits = settings(max_examples=150, deadline=timedelta(seconds=5))


@limits
@given(st.text())
def test_any_text(text: str) -> None:
    check(text)


@limits
@given(st.lists(PIECES, max_size=40).map("".join))
def test_pieces_of_documents(text: str) -> None:
    check(text)


@st.composite
def mutilated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 12)))
        insert = draw(st.one_of(PIECES, st.just(""), st.text(max_size=4)))
        text = text[:at] + insert * draw(st.sampled_from([1, 1, 1, 50])) + text[end:]
    return text


@limits
@given(mutilated())
def test_mutilated_documents(text: str) -> None:
    check(text)


@limits
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=20).map("".join)))
def test_any_condition_and_any_template(text: str) -> None:
    quoted = "'" + text.replace("'", "''").replace("\n", "\n\n  ") + "'"
    head = "apiVersion: overture/v1\nkind: Ruleset\nname: x\nfacts: {a: {x: string}}\n"
    check(f"{head}rules:\n  r:\n    when: {quoted}\n    then: []\ntemplates:\n  t:\n    text: {quoted}\n")
