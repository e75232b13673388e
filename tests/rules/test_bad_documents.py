"""Each document under ``bad/`` draws just what it says: code, line and column of everything (see ``badkit``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from badkit import BAD, FILES, beside, document, expected, found, told
from diagnosticspage import PAGE, page

from overture.rules.codes import CODES
from overture.rules.document import inspect, load
from overture.rules.report import RulesetInvalid


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_exactly_what_is_expected(path: Path) -> None:
    findings = found(path)

    assert told(findings) == expected(path), [d.message for d in findings]
    assert path.parent.name in {d.code for d in findings}
    for finding in findings:
        assert finding.severity == CODES[finding.code].severity
        assert finding.message
        assert not finding.message.endswith(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_has_an_error_is_no_ruleset(path: Path) -> None:
    text = path.read_bytes().decode()
    ruleset, findings = inspect(text)
    if any(finding.severity == "error" for finding in findings):
        assert ruleset is None
        with pytest.raises(RulesetInvalid) as caught:
            load(text)
        assert caught.value.diagnostics == findings
        assert caught.value.status == 422
    else:
        assert ruleset is not None


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_an_example_that_can_be_mended(code: str) -> None:
    example = BAD / code / "example.yaml"
    assert code in {d.code for d in found(example)}
    assert told(found(beside(example, "mended"))) == []
    assert document(example) != beside(example, "mended").read_text()


def test_every_file_of_the_corpus_is_in_use() -> None:
    assert len(FILES) >= 150
    assert {path.name for path in BAD.iterdir()} == set(CODES)
    companions = {beside(path, what) for path in FILES for what in ("mended", "with")}
    assert set(BAD.rglob("*.yaml")) - set(FILES) <= companions


def test_the_page_of_diagnostics_is_made_of_the_table_and_the_corpus() -> None:
    assert PAGE.read_text("utf-8") == page(), "python tests/rules/diagnosticspage.py writes it anew"
