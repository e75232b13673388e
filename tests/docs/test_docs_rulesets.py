"""``docs/rulesets.md`` is true: its examples pass the checker, its lists are the code's, its claims hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dockit import CODE, ROOT, blocks, code, page, part, table
from ruamel.yaml import YAML

from overture.decide import Plan, limits, step
from overture.decide.context import context_of
from overture.decide.limits import DEPTH_LIMIT
from overture.match import compile_condition
from overture.match.functions import FUNCTIONS as MATCHED
from overture.model import Contact, Fact, Step
from overture.model.series import LONGEST
from overture.plugin import PluginManager
from overture.rules import actions, historic, inspect, link, load, reading, series, syntax, template, yamltext
from overture.rules.durations import DAY
from overture.rules.keys import ACTION, REQUIRES, RULESET
from overture.rules.reading import Reading
from overture.rules.report import Report
from overture.rules.ruleset import ScoreDecl
from overture.rules.scope import BUILT_IN, Scope
from overture.rules.scripts import Scripts
from overture.rules.tree import Place
from overture.rules.types import DECLARABLE

PAGE = page("rulesets.md")
BLOCKS = blocks(PAGE, "yaml")
BASE: dict[str, Any] = {
    "apiVersion": "overture/v1",
    "kind": "Ruleset",
    "name": "base",
    "requires": {"channels": ["email"]},
    "facts": {
        "page_viewed": {"path": "string", "topic": "string?"},
        "order_completed": {"order_id": "string", "total": "number"},
        "purchase": {"total": "number"},
        "lead.hot": {"score": "number"},
    },
    "traits": {"plan": "string?", "country": "string?", "first_name": "string?", "last_order_at": "datetime?"},
    "scores": {"lead": {}, "interest": {"per": "topic"}, "spend": {}},
    "lists": {"newsletter": {"channel": "email", "purpose": "marketing"}},
    "segments": {"loyal": {}},
    "templates": {"thanks": {"subject": "Thank you", "text": "Thank you."}},
}


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in more.items():
        nested = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = merged(both[key], value) if nested else value
    return both


def words(text: str) -> set[str]:
    return set(CODE.findall(text))


def decide(document: str, *facts: Fact, contact: Contact | None = None) -> list[Step]:
    plan = Plan(link([load(document)], 1), "reference")
    steps: list[Step] = []
    for fact in facts:
        steps.append(step(steps[-1].contact if steps else contact or Contact("ada"), fact, plan, 1_000))
    return steps


def fact(type: str, id: str, **properties: Any) -> Fact:
    return Fact(id, type, "ada", 1_000, 1_000, properties)


@pytest.mark.parametrize("text", BLOCKS, ids=lambda text: " ".join(text.split()[:3]))
def test_every_example_passes_the_checker(text: str):
    if not text.startswith("apiVersion"):
        text = json.dumps(merged(BASE, YAML(typ="safe").load(text)))
    plugins = PluginManager()
    plugins.load()
    ruleset, findings = inspect(text, pure=plugins.pure())
    assert findings == []
    assert ruleset is not None


def test_the_sections_are_the_codes():
    frame = {"apiVersion", "kind", "name", "description"}
    rows = table(part(PAGE, "## Sections"), "section")
    assert {code(row[0]) for row in rows} == RULESET.keys.keys() - frame
    assert words(rows[0][1]) == REQUIRES.keys.keys()
    assert set(DECLARABLE) <= words(part(PAGE, "### Types"))


def test_the_functions_are_the_codes():
    rows = [code(row[0]) for row in table(part(PAGE, "## Conditions"), "function")]
    functions = {row.partition("(")[0] for row in rows}
    assert {name for name in functions if not name.startswith("text.")} == syntax.FUNCTIONS
    assert {name.removeprefix("text.") for name in functions if name.startswith("text.")} == syntax.METHODS
    assert set(MATCHED) < syntax.FUNCTIONS | syntax.METHODS


def test_the_actions_are_the_codes():
    reading = Reading(Report())
    none = actions.Declared(
        channels=frozenset(),
        scores={},
        lists={},
        templates={},
        computed=frozenset(),
        scripts=Scripts(reading, Scope(), ()),
        journeys=frozenset(),
        choices={},
        models={},
    )
    readers = actions.Actions(reading, Scope(), none).readers
    headings = [line for line in part(PAGE, "## Actions").splitlines() if line.startswith("### ")]
    assert {name for line in headings for name in CODE.findall(line)} == set(readers) == ACTION.keys.keys()


def test_what_is_not_there_yet_is_the_codes():
    said = words(part(PAGE, "## Not in this version"))
    assert said == {*RULESET.later, *ACTION.later, "ruleset.not_yet"}


def test_the_built_in_facts_are_the_codes():
    rows = {code(row[0]): words(row[1]) for row in table(part(PAGE, "## Built-in facts"), "type")}
    marked = {t: {f + "?" * k.optional for f, k in fields.items()} for t, fields in BUILT_IN.items()}
    assert rows == marked


def test_variables_of_templates_are_the_codes():
    rows = table(part(PAGE, "## Templates"), "variable")
    assert {name for row in rows for name in words(row[0])} == template.ROOTS | template.PLAIN


def test_the_limits_are_the_codes():
    rows = {row[0]: row[1] for row in table(part(PAGE, "## Limits"), "what")}
    assert {name: int(limit.split()[0]) * (1024 if "KiB" in limit else 1) for name, limit in rows.items()} == {
        "a document": yamltext.SIZE_LIMIT,
        "nesting of YAML": yamltext.DEPTH_LIMIT,
        "rules in a ruleset": reading.RULES_LIMIT,
        "an expression": syntax.SOURCE_LIMIT,
        "parts of an expression": syntax.NODE_LIMIT,
        "nesting of an expression": syntax.DEPTH_LIMIT,
        "a text literal": syntax.TEXT_LIMIT,
        "a window of history": historic.LONGEST_WINDOW // DAY,
        "series that a ruleset asks for (a fact type, with its field and `where`)": series.RULESET_SERIES,
        "series of all active rulesets": series.PROGRAM_SERIES,
        "facts counted in a window": LONGEST,
        "a template": template.SOURCE_LIMIT,
        "a tag in a template": template.TAG_LIMIT,
        "conditions in a template": template.CONDITIONS_LIMIT,
        "depth of derived facts": DEPTH_LIMIT,
        "derived facts in one step": limits.DERIVED_LIMIT,
        "their properties together": limits.DERIVED_BYTES,
        "messages in one step": limits.MESSAGES,
        "effects of rules in one step": limits.EFFECTS,
        "pairs of facts looked at for joins in one step": limits.LINKS,
    }
    assert f"-{reading.PRIORITY_LIMIT} to {reading.PRIORITY_LIMIT}" in PAGE


def test_the_limits_of_a_contact_are_the_codes():
    text = part(PAGE, "### What one contact holds")
    told = {row[0].split(",")[0]: row[1] for row in table(text, "of one contact")}
    assert {name: int(limit.split()[0]) * (1024 if "KiB" in limit else 1) for name, limit in told.items()} == {
        "identifiers": limits.STATE_BYTES,
        "firings remembered of one rule that may fire once in a span": limits.FIRINGS,
        "traits": limits.TRAITS,
        "a trait": limits.VALUE_BYTES,
        "its levels of lists and objects": limits.VALUE_DEPTH,
        "the name of a trait": limits.NAME_BYTES,
        "keys of one score": limits.SCORE_KEYS,
        "identifiers of one kind": limits.IDENTIFIERS,
        "purposes of consent": limits.PURPOSES,
        "codes of one kind": limits.CODES,
        "suppressed addresses": limits.ADDRESSES,
        "values remembered by one rule's `once_per`": limits.KEYS_REMEMBERED,
        "facts remembered of one part of a join": limits.CANDIDATES,
        "what a join reads of one such fact": limits.PART_BYTES,
        "impressions of [choices](choices.md) remembered": limits.SHOWN_VARIANTS,
        "visits remembered": limits.SESSIONS,
        "facts remembered of one visit": limits.EVENTS,
        "how late a fact still finds its join or its visit": limits.LATE // DAY,
    }
    assert f"more than {limits.MESSAGE_BYTES // 1024} KiB" in text
    assert f"above {limits.SHOWN_BYTES // 1024} KiB" in text


def _nowhere(_: int) -> Place:
    return Place()


@pytest.mark.parametrize("row", table(part(PAGE, "### What a condition means"), "condition"), ids=lambda row: row[0])
def test_what_conditions_mean(row: list[str]):
    node = syntax.parse_syntax(code(row[0]), _nowhere, {}, Report())
    assert node is not None
    contact = Contact("ada", traits={"plan": "pro", "seats": 5})
    told = compile_condition(node)(fact("page_viewed", "f", path="/pricing", total=0), contact)
    assert row[1] == ("yes" if told else "no")


def test_a_segment_may_be_harder_to_enter_than_to_stay_in():
    (text,) = (b for b in BLOCKS if b.startswith("segments:\n  hot"))
    more = YAML(typ="safe").load(text)
    more["rules"] = {
        "r": {"when": 'fact.type == "purchase"', "then": [{"score": {"name": "lead", "set": "= fact.total"}}]}
    }
    steps = decide(json.dumps(merged(BASE, more)), *(fact("purchase", f"f{n}", total=n) for n in (24, 25, 20, 19, 24)))
    assert ["hot" in s.contact.segments for s in steps] == [False, True, True, False, False]


def test_conditions_see_the_state_before_the_rules_and_values_see_what_was_done():
    more = {
        "rules": {
            "a": {"when": 'fact.type == "purchase"', "then": [{"score": {"name": "lead", "add": 5}}]},
            "b": {
                "when": 'fact.type == "purchase" and contact.scores.lead == 0',
                "then": [{"score": {"name": "spend", "add": "= contact.scores.lead"}}],
            },
        }
    }
    (done,) = decide(json.dumps(merged(BASE, more)), fact("purchase", "f", total=1))
    assert done.contact.scores == {"lead": 5, "spend": 5}


def test_a_rule_fires_once_on_equal_derived_facts():
    derive = {"assert": {"type": "purchase", "properties": {"total": 1}}}
    more = {
        "rules": {
            "a": {"when": 'fact.type == "page_viewed"', "then": [derive, derive]},
            "b": {"when": 'fact.type == "purchase"', "then": [{"score": {"name": "lead", "add": 5}}]},
        }
    }
    (done,) = decide(json.dumps(merged(BASE, more)), fact("page_viewed", "f", path="/"))
    assert done.contact.scores == {"lead": 5}


def test_a_deploy_moves_segments_silently_at_the_next_fact():
    (text,) = (b for b in BLOCKS if b.startswith("segments:\n  hot"))
    before = Contact("ada", seq=3, program=0, scores={"lead": 30}, segments={"gone": 5})
    (done,) = decide(
        json.dumps(merged(BASE, YAML(typ="safe").load(text))), fact("page_viewed", "f", path="/"), contact=before
    )
    assert set(done.contact.segments) == {"hot"}
    assert {(e.name, e.key, e.after) for e in done.trace.effects} == {
        ("gone", "deploy", False),
        ("hot", "deploy", True),
    }
    assert done.trace.firings == []
    assert done.contact.scores == {"lead": 30}


def test_what_a_template_reads_of_the_contact():
    ada = Contact("ada", traits={"plan": "pro"}, scores={"lead": 1}, segments={"hot": 1}, lists={"news": 1})
    declared = {name: ScoreDecl(name, per) for name, per in (("lead", ""), ("fit", ""), ("interest", "topic"))}
    assert context_of(ada, declared)["contact"] == {
        "plan": "pro",
        "id": "ada",
        "scores": {"lead": 1, "fit": 0, "interest": {}},
        "segments": ["hot"],
        "lists": ["news"],
    }
    seen = context_of(ada, declared)
    assert set(seen) == {"contact", "issued"}


def test_the_shipped_rulesets_draw_no_finding():
    for path in sorted(p for p in (ROOT / "rulesets").glob("*.yaml") if ".test." not in p.name):
        assert inspect(path.read_text("utf-8"))[1] == []
