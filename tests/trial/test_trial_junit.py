"""JUnit XML that any parser reads, whatever stands in names and values."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st
from trialkit import tried

from overture.model import Diagnostic
from overture.trial.junit import junit
from overture.trial.results import Coverage, Failure, Outcome, Result

TEXT = st.text(max_size=20)


def test_one_suite_a_ruleset_one_case_a_test() -> None:
    good = "  - name: a\n    steps: [{expect: {sent: []}}]\n"
    bad = "  - name: b\n    steps: [{fact: {type: viewed, path: /}}, {expect: {scores: {lead: 3}}}]\n"
    result, _ = tried(f"tests:\n{good}{bad}")
    assert result is not None
    broken = Diagnostic(code="test.empty", message="The test expects <nothing>", line=3, column=5)
    root = Xml.fromstring(junit([("shop.test.yaml", "shop", result, []), ("x.test.yaml", "x", None, [broken])]))
    assert root.attrib == {"tests": "3", "failures": "1", "errors": "1"}
    shop, x = root
    assert (shop.get("name"), shop.get("file"), shop.get("tests"), shop.get("failures")) == (
        "shop", "shop.test.yaml", "2", "1",
    )  # fmt: skip
    passed, failed = shop
    assert (passed.get("name"), passed.get("classname"), passed.get("line"), len(passed)) == ("a", "shop", "2", 0)
    (failure,) = failed
    assert failure.get("message") == "5:71: scores.lead: expected 3, found 10"
    assert "shop/viewed: score lead 0 → 10" in (failure.text or "")
    (error,) = x[0]
    assert error.get("message") == "3:5: test.empty: The test expects <nothing>"


@given(TEXT, TEXT, TEXT)
def test_any_text_makes_well_formed_xml(name: str, value: str, file: str) -> None:
    failed = Outcome(name, False, 1, 1, 1, [Failure(1, 1, value, value, value, [value])], [value])
    result = Result(name, False, [failed], [], Coverage(0))
    root = Xml.fromstring(junit([(file, name, result, [Diagnostic(code="a.b", message=value)])]).encode())
    assert root.get("tests") == "2"
