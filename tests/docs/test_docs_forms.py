"""``docs/forms.md`` is true: its rulesets are good, its keys, codes and numbers are the code's."""

from __future__ import annotations

import ast
import json

import pytest
from dockit import ROOT, blocks, code, modules, page, part, table
from ruamel.yaml import YAML
from test_docs_rulesets import BASE, merged

from overture.delivery.links import VISITOR_DAYS
from overture.node.answers import TEXT_LIMIT
from overture.rules import inspect
from overture.rules.form import ASKABLE
from overture.rules.keys import ASK_LIMIT, FORM, FORM_FIELD
from overture.state.contacts import TIMELINE
from overture.state.log import DEDUPE_MS
from overture.web.formed import FieldView, FormQuery, Submission

PAGE = page("forms.md")


@pytest.mark.parametrize("text", blocks(PAGE, "yaml"), ids=lambda text: text.split()[0])
def test_every_example_passes_the_checker(text: str) -> None:
    if not text.startswith("apiVersion"):
        text = json.dumps(merged(BASE, YAML(typ="safe").load(text)))
    ruleset, findings = inspect(text)
    assert ruleset is not None
    assert findings == []


def test_the_keys_are_the_codes() -> None:
    assert [code(row[0]) for row in table(PAGE, "key of a form")] == list(FORM.keys)
    assert [code(row[0]) for row in table(PAGE, "key of a field")] == list(FORM_FIELD.keys)
    assert {code(row[0]) for row in table(part(PAGE, "## Taking answers"), "key")} == set(Submission.__struct_fields__)
    known = {code(row[0]) for row in table(PAGE, "parameter") if "`" in row[0]}
    assert known == set(FormQuery.__struct_fields__)
    assert all(f"`{name}`" in part(PAGE, "## Showing it") for name in FieldView.__struct_fields__)
    assert f"1 to {ASK_LIMIT}" in PAGE
    assert all(f"`{kind}`" in PAGE for kind in ASKABLE)


def test_the_errors_of_fields_are_the_codes() -> None:
    tree = next(tree for path, tree in modules() if path.name == "answers.py")
    found = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("answer.")
    }
    assert {code(row[0]) for row in table(part(PAGE, "## Taking answers"), "code")} == found


def test_the_numbers_are_the_codes() -> None:
    assert f"good for {VISITOR_DAYS} days" in PAGE
    assert f"at most {TEXT_LIMIT:,} characters" in PAGE
    assert f"the last {TIMELINE} facts" in PAGE
    assert f"within {DEDUPE_MS // 86_400_000} days" in PAGE


def test_the_ruleset_that_it_names_has_two_forms() -> None:
    ruleset, _ = inspect((ROOT / "rulesets" / "progressive_webinar.yaml").read_text("utf-8"))
    assert ruleset is not None
    assert set(ruleset.forms) == {"landing", "webinar"}
    assert "`rulesets/progressive_webinar.yaml`" in PAGE
