"""What holds for any text whatsoever that is given to the reader of rulesets; `check` raises where it does not."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import Any

import jsonschema_rs

from overture.model import Refused
from overture.rules import RulesetInvalid, link, load
from overture.rules.codes import CODES
from overture.rules.difference import difference
from overture.rules.layout import laid_out
from overture.rules.report import LIMIT, Report
from overture.rules.yamltext import plain, read
from overture.trial.keys import schema_of_rulesets
from overture.trial.reading import inspect

SLOW = 1.0  # seconds of the processor
SCHEMA = jsonschema_rs.validator_for(schema_of_rulesets())


def text_of(data: bytes) -> str:
    """Any bytes as text: lone surrogates where their bytes stand there, as an app's strings may have them."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def check(text: str, *, layout: bool = True) -> float:
    """The text is refused with findings that have a place in it, or it is a ruleset that can be linked or not.

    Answers how many seconds of the processor the checker took.

    With ``layout``: whatever can be read at all has one that means the same and is at rest.
    """
    started = time.process_time()
    ruleset, _, findings = inspect(text)
    spent = time.process_time() - started
    after = laid(text) if layout else None
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
        return spent
    assert load(text) == ruleset
    if after is not None:
        assert difference(ruleset, load(after)) == []
    assert SCHEMA.is_valid(said(text))
    with suppress(RulesetInvalid):
        link([ruleset], 1)
    return spent


def laid(text: str) -> str | None:
    """Its layout, where it has one, means the same and is at rest."""
    try:
        after = laid_out(text)
    except RulesetInvalid:
        return None
    except Refused:
        assert re.search(r"^\s*(- +)*\? ", text, re.MULTILINE), "only a key behind a question mark cannot be laid out"
        return None
    assert said(after) == said(text)
    assert laid_out(after) == after
    return after


def said(text: str) -> Any:
    """What a document says, as plain values; None where it cannot be read."""
    report = Report()
    with report.until_full():
        root = read(text, report)
        return None if root is None else plain(root)
    return None


def took(text: str) -> float:
    """Seconds of the processor that the checker takes for the text, at best of three."""
    return min(check(text) for _ in range(3))
