"""What holds for any text whatsoever that is given to the reader of rulesets; `check` raises where it does not."""

from __future__ import annotations

import time
from contextlib import suppress

from overture.rules import RulesetInvalid, link, load
from overture.rules.codes import CODES
from overture.rules.report import LIMIT
from overture.trial.reading import inspect

SLOW = 1.0  # seconds of the processor


def text_of(data: bytes) -> str:
    """Any bytes as text: lone surrogates where their bytes stand there, as an app's strings may have them."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def check(text: str) -> None:
    """The text is refused with findings that have a place in it, or it is a ruleset that can be linked or not."""
    ruleset, _, findings = inspect(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
    for finding in findings:
        assert finding.code in CODES, finding
        assert 1 <= finding.line <= lines, finding
        assert finding.column >= 1, finding
        assert finding.message, finding
    assert len(findings) <= LIMIT + 1
    refused = any(finding.severity == "error" for finding in findings)
    assert (ruleset is None) is refused
    if ruleset is None:
        return
    assert load(text) == ruleset
    with suppress(RulesetInvalid):
        link([ruleset], 1)


def took(text: str) -> float:
    """Seconds of the processor that the text takes, at best of three."""
    spans: list[float] = []
    for _ in range(3):
        started = time.process_time()
        check(text)
        spans.append(time.process_time() - started)
        if spans[-1] < SLOW:
            break
    return min(spans)
