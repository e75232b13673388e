"""Each document under bad/ says in its first line what is wrong with it and where; the checker must say just that."""

from __future__ import annotations

from pathlib import Path

import pytest

from overture.rules.codes import CODES
from overture.rules.document import inspect, load
from overture.rules.report import RulesetInvalid

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))

SIZE = {"document.too_large", "document.too_many_findings"}


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_exactly_the_expected_finding(path: Path) -> None:
    text = path.read_bytes().decode()
    expected = text.partition("\n")[0].removeprefix("# expect: ")

    ruleset, found = inspect(text)

    assert [f"{d.code}@{d.line}:{d.column}" for d in found] == [expected], [d.message for d in found]
    assert found[0].severity == CODES[found[0].code].severity
    assert not found[0].message.endswith(".")
    if found[0].severity == "error":
        assert ruleset is None
        with pytest.raises(RulesetInvalid) as caught:
            load(text)
        assert caught.value.diagnostics == found
        assert caught.value.status == 422
    else:
        assert ruleset is not None


def test_the_corpus_covers_the_table() -> None:
    """Every code that one ruleset can draw is drawn by one; the rest is drawn by linking, by tests, or by size."""
    drawn = {path.read_bytes().decode().partition("@")[0].removeprefix("# expect: ") for path in BAD}
    tests = {code for code in CODES if code.startswith("test.")}
    assert CODES.keys() - drawn == SIZE | tests | {"link.unmet", "link.type_conflict"}
