"""``docs/models.md`` is true: its ruleset and its test pass, its keys and numbers are the code's."""

from __future__ import annotations

import json

import msgspec
from dockit import blocks, code, page, part, table

from overture.decide.limits import EXAMPLES
from overture.deploy import online
from overture.model.artefact import FEATURES, SIZE, TEXT, VALUES, Artefact, Linear, Platt, Tree, digest, unpack
from overture.rules import load
from overture.rules.keys import MODEL
from overture.rules.models import LONGEST, OPEN
from overture.trial.reading import inspect, inspect_tests
from overture.trial.suite import run
from overture.web.modelled import ModelState

PAGE = page("models.md")
(SHOP, TESTS) = blocks(PAGE, "yaml")


def test_the_ruleset_passes_the_checker_and_its_test() -> None:
    ruleset, _, findings = inspect(SHOP)
    assert ruleset is not None
    assert findings == []
    trials, wrong = inspect_tests(TESTS)
    assert wrong == []
    result = run(ruleset, trials, {"shop": load(SHOP)}, {})
    assert [outcome.failures for outcome in result.tests] == [[]]


def test_the_artefact_is_one() -> None:
    (written,) = blocks(PAGE, "json")
    artefact = unpack(written.encode())
    assert isinstance(artefact, Linear)
    assert isinstance(artefact.calibration, Platt)
    assert len(digest(artefact)) == 16
    kinds = [kind.__struct_config__.tag for kind in msgspec.inspect.type_info(Artefact).types for kind in [kind.cls]]  # type: ignore[attr-defined]
    assert sorted(code(row[0]) for row in table(part(PAGE, "## Artefacts"), "kind")) == sorted(kinds)
    assert all(f"`{name}`" in part(PAGE, "## Artefacts") for name in Tree.__struct_fields__)
    assert set(json.loads(written)) == {"kind", *Linear.__struct_fields__}


def test_keys_and_numbers_are_the_codes() -> None:
    assert {code(row[0]) for row in table(PAGE, "key")} == set(MODEL.keys) - {"description"}
    told = {name for row in table(PAGE, "field") for name in row[0].replace("`", "").split(", ")}
    assert told == set(ModelState.__struct_fields__)
    assert f"1 to {FEATURES} expressions" in PAGE
    assert f"at most {LONGEST // 86_400_000} days" in PAGE
    assert OPEN == 20
    assert "at least a twentieth" in PAGE
    assert f"the first {TEXT} characters" in PAGE
    assert f"up to {VALUES} of them" in PAGE
    assert f"at most {EXAMPLES} examples" in PAGE
    assert f"at most {SIZE >> 20} MiB" in PAGE
    assert f"the last {online.RECENT:,}" in PAGE
    assert f"after {online.LEAST} examples, {online.LEAST_EACH} of them yes" in PAGE
