"""Results as JUnit XML, which build servers read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from overture.model import Diagnostic
from overture.trial.results import Outcome, Result

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(ran: Sequence[tuple[str, str, Result | None, Sequence[Diagnostic]]]) -> str:
    """One ``testsuite`` for each (file, ruleset, result or None, findings); errors in a document are an ``error``."""
    root = Xml.Element("testsuites")
    for file, ruleset, result, findings in ran:
        outcomes = result.tests if result else []
        errors = [finding for finding in findings if finding.severity == "error"]
        suite = Xml.SubElement(root, "testsuite", name=_clean(ruleset), file=_clean(file))
        for outcome in outcomes:
            _case(suite, file, ruleset, outcome)
        if errors:
            case = Xml.SubElement(suite, "testcase", name="the document", classname=_clean(ruleset), file=_clean(file))
            told = [f"{d.line}:{d.column}: {d.code}: {d.message}" for d in errors]
            Xml.SubElement(case, "error", message=_clean(told[0])).text = _clean("\n".join(told))
        _count(suite, len(outcomes) + bool(errors), sum(not o.passed for o in outcomes), bool(errors))
    _count(root, *(sum(int(suite.get(name, 0)) for suite in root) for name in ("tests", "failures", "errors")))
    Xml.indent(root)
    return _HEAD + Xml.tostring(root, "unicode") + "\n"


def _case(suite: Xml.Element, file: str, ruleset: str, outcome: Outcome) -> None:
    case = Xml.SubElement(suite, "testcase", name=_clean(outcome.name), classname=_clean(ruleset), file=_clean(file))
    case.set("line", str(outcome.line))
    if outcome.passed:
        return
    told = [f"{f.line}:{f.column}: {f.what}: expected {f.expected}, found {f.found}" for f in outcome.failures]
    values = [value for failure in outcome.failures for value in failure.values]
    text = "\n".join([*told, *values, *outcome.happened])
    Xml.SubElement(case, "failure", message=_clean(told[0])).text = _clean(text)


def _count(element: Xml.Element, tests: int, failures: int, errors: int) -> None:
    for name, number in (("tests", tests), ("failures", failures), ("errors", errors)):
        element.set(name, str(int(number)))


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
