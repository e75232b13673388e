"""Whatever stands in a test document: findings or results, never an exception."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from trialkit import tried

BAD = Path(__file__).parent / "bad"
TEXTS = [path.read_text("utf-8") for path in sorted(BAD.glob("*.yaml"))]
WORDS = """tests: name: at: contact: rulesets: steps: fact: type: advance: expect: backfill: scores: traits: sent: {} []
    null true 3 -1 2.5 1e400 9007199254740993 viewed bought lead hot 3d 2026-03-27T10:00:00Z 0001-01-01T00:00:00Z to:
    consent: email: {marketing: granted} identify message.bounced "" '~' & * --- ... !!str"""
PIECES = [*WORDS.split(), "\n", "\n      - ", "\n  - ", "  ", ", ", "[", "]", "{", "}", "\0", "\ud800"]


@st.composite
def documents(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from(PIECES)) + text[end:]
    return text


@given(documents())
@settings(max_examples=200)
def test_findings_or_results(text: str) -> None:
    result, findings = tried(text)
    assert result is not None or any(finding.severity == "error" for finding in findings)
    assert all(finding.message for finding in findings)
