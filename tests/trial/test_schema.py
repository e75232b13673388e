"""The JSON Schema says what the reader says: what it takes fits, what has wrong keys or shapes does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from overture.rules.report import Report
from overture.rules.yamltext import plain, read
from overture.trial.files import is_test
from overture.trial.keys import schema_of_rulesets, schema_of_tests
from overture.trial.reading import inspect, inspect_tests

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "rulesets").glob("*.yaml"))
CORPUS = sorted((ROOT / "tests" / "rules" / "bad").glob("*/*.yaml"))
TRIALS = sorted((ROOT / "tests" / "trial" / "bad").glob("*.yaml"))
RULESET = jsonschema_rs.validator_for(schema_of_rulesets())
TESTS = jsonschema_rs.validator_for(schema_of_tests())

SHAPES = {
    "ruleset.kind", "ruleset.api_version", "ruleset.name", "ruleset.missing_key", "ruleset.unknown_key",
    "ruleset.shape", "ruleset.not_yet", "type.unknown", "const.value", "action.unknown", "action.shape",
    "action.choice", "send.channel_missing", "send.purpose_missing", "join.parts", "test.step",
}  # fmt: skip
"""Codes of mistakes that a schema can see."""


def value(text: str) -> Any:
    """What the document says, None where it is none."""
    report, root = Report(), None
    with report.until_full():
        root = read(text, report)
    return None if root is None else plain(root)


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(item)


def test_they_are_schemas() -> None:
    for schema in (schema_of_rulesets(), schema_of_tests()):
        jsonschema_rs.meta.validate(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_what_is_shipped_fits(path: Path) -> None:
    schema = TESTS if is_test(path) else RULESET
    assert [error.message for error in schema.iter_errors(value(path.read_text()))] == []


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_of_the_corpus_fits_what_is_taken_and_not_what_has_another_shape(path: Path) -> None:
    text = path.read_bytes().decode()
    codes = {finding.code for finding in inspect(text)[2] if finding.severity == "error"}
    found = value(text)
    if not codes:
        assert [error.message for error in RULESET.iter_errors(found)] == []
    elif found is not None and codes <= SHAPES:
        assert not RULESET.is_valid(found)


@pytest.mark.parametrize("path", TRIALS, ids=lambda p: p.name.partition(".")[0])
def test_of_test_documents_likewise(path: Path) -> None:
    text = path.read_text()
    codes = {finding.code for finding in inspect_tests(text)[1] if finding.severity == "error"}
    found = value(text)
    if not codes:
        assert [error.message for error in TESTS.iter_errors(found)] == []
    elif found is not None and codes <= SHAPES:
        assert not TESTS.is_valid(found)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_a_key_that_the_reader_does_not_know_does_not_fit(path: Path) -> None:
    document, (schema, check) = value(path.read_text()), (TESTS, inspect_tests) if is_test(path) else (RULESET, inspect)
    refused = 0
    for i in range(len(list(mappings(document)))):
        changed = copy.deepcopy(document)
        list(mappings(changed))[i]["zzz"] = 1
        codes = {finding.code for finding in check(json.dumps(changed))[-1]}
        if "ruleset.unknown_key" in codes:
            refused += 1
            assert not schema.is_valid(changed), changed
        elif not codes:
            assert schema.is_valid(changed), changed
    assert refused > 2
