"""Whole documents: what they mean, all errors at once, and that the shipped ones are without a finding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from overture.rules.codes import CODES
from overture.rules.document import inspect, load, revision_of
from overture.rules.layout import laid_out
from overture.rules.report import RulesetInvalid
from overture.rules.ruleset import (
    AssertAction,
    IssueAction,
    ListAction,
    ListDecl,
    Once,
    ScoreAction,
    ScoreDecl,
    SegmentAction,
    SendAction,
    SetAction,
    UnsetAction,
)
from overture.rules.spelling import spell
from overture.rules.tree import Field, Items, Literal, Node, Place

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(p for p in (ROOT / "rulesets").glob("*.yaml") if ".test." not in p.name)

EVERYTHING = """\
apiVersion: overture/v1
kind: Ruleset
name: everything
requires: {channels: [email], scores: [lead], segments: [vip]}
facts:
  bought: {sku: string, total: number, tags: "list?"}
  thanked: {total: number}
traits: {tier: "string?", tags: "list?", first_at: "datetime?", n: "int?"}
scores: {spend: {min: 0, max: 1000}, interest: {per: sku}}
lists: {news: {channel: email, purpose: marketing}, plain: {}}
segments:
  marked: {}
rules:
  all-actions:
    priority: 10
    once_per: 12h
    when: fact.type == "bought" and has(fact.tags)
    then:
      - score: {name: lead, add: 1.5}
      - score: {name: spend, set: "= fact.total * 2"}
      - score: {name: interest, add: 1}
      - score: {name: interest, add: 1, per: "= fact.id"}
      - set: {tier: gold, tags: [a, 1], first_at: = fact.occurred_at, n: 3}
      - set: {tier: '\\=literal'}
      - unset: [n]
      - assert: {type: thanked, properties: {total: = fact.total}}
      - segment: {enter: marked}
      - segment: {leave: vip}
      - list: {remove: news}
      - issue: {kind: voucher, percent: 25, sku: = fact.sku}
      - send: {channel: email, template: t, purpose: marketing, to: boss@example.com}
  by-key: {when: fact.type == "thanked", once_per: fact.total, then: [{list: {add: plain}}]}
  by-contact: {when: fact.type == "thanked", once_per: contact, then: [{unset: n}]}
templates:
  t:
    subject: Hi
    text: Hi
    html: |
      <p>{% if contact.tier is defined %}{{ contact.tier | default("x") | upper }}{% endif %}</p>
      {{ links.preferences }}
"""


def same(node: object, expected: object) -> bool:
    """Equal apart from places."""
    if isinstance(node, Literal) and isinstance(expected, Literal):
        return node.value == expected.value
    return node == expected


def test_every_kind_of_declaration_and_action() -> None:
    ruleset = load(EVERYTHING)

    assert ruleset.name == "everything"
    assert ruleset.facts["bought"] == {"sku": "string", "total": "number", "tags": "list?"}
    assert ruleset.traits["first_at"] == "datetime?"
    assert ruleset.scores == {"spend": ScoreDecl("spend", "", 0, 1000), "interest": ScoreDecl("interest", "sku")}
    assert ruleset.lists == {"news": ListDecl("news", "email", "marketing"), "plain": ListDecl("plain")}
    assert ruleset.requires == {"channels": ("email",), "scores": ("lead",), "segments": ("vip",)}
    rule, by_key, by_contact = ruleset.rules
    assert (rule.id, rule.priority, rule.types) == ("everything/all-actions", 10, {"bought"})
    assert rule.once == Once(window_ms=12 * 3600_000)
    assert by_key.once is not None
    assert isinstance(by_key.once.key, Field)
    assert by_key.once.key.path == ("total",)
    assert by_contact.once == Once()
    score, set_score, keyed, keyed_by, set_, escaped, unset, derived, enter, leave, remove, issue, send = rule.then
    assert isinstance(score, ScoreAction)
    assert same(score.add, Literal(1.5))
    assert isinstance(set_score, ScoreAction)
    assert set_score.add is None
    assert isinstance(keyed, ScoreAction)
    assert keyed.per is None
    assert isinstance(keyed_by, ScoreAction)
    assert isinstance(keyed_by.per, Field)
    assert isinstance(set_, SetAction)
    assert set(set_.traits) == {"tier", "tags", "first_at", "n"}
    assert isinstance(set_.traits["tags"], Items)
    assert isinstance(escaped, SetAction)
    assert same(escaped.traits["tier"], Literal("=literal"))
    assert unset == UnsetAction(("n",))
    assert isinstance(derived, AssertAction)
    assert derived.type == "thanked"
    assert (enter, leave) == (SegmentAction("marked", True), SegmentAction("vip", False))
    assert remove == ListAction("news", False)
    assert isinstance(issue, IssueAction)
    assert (issue.kind, set(issue.properties)) == ("voucher", {"percent", "sku"})
    assert send == SendAction("email", "t", "marketing", "boss@example.com")


def test_an_expression_in_an_action_stands_at_its_place() -> None:
    ruleset = load(EVERYTHING)
    set_score = ruleset.rules[0].then[1]
    assert isinstance(set_score, ScoreAction)
    node: Node | None = set_score.set
    assert node is not None
    line = EVERYTHING.split("\n").index('      - score: {name: spend, set: "= fact.total * 2"}') + 1
    assert node.place == Place(line, EVERYTHING.split("\n")[line - 1].index("fact.total") + 1)


def test_all_errors_come_at_once() -> None:
    text = EVERYTHING.replace("priority: 10", "priority: 10\n    onceper: 1d")
    text = text.replace("name: spend, set", "name: spent, set").replace("template: t,", "template: tt,")
    text = text.replace('by-key: {when: fact.type == "thanked"', 'by-key: {when: fact.type == "thankd"')

    with pytest.raises(RulesetInvalid) as caught:
        load(text)

    found = caught.value.diagnostics
    expected = ["ruleset.unknown_key", "score.unknown", "template.unknown", "fact.unknown"]
    assert [d.code for d in found] == expected
    assert [d.pointer for d in found] == [
        "/rules/all-actions/onceper",
        "/rules/all-actions/then/1/score/name",
        "/rules/all-actions/then/12/send/template",
        "/rules/by-key/when",
    ]
    assert all(d.line and d.column and d.hint for d in found)
    assert "and 3 more" in str(caught.value)


def test_json_is_read_too() -> None:
    document = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": "j", "facts": {"a": {"x": "int"}}}
    document["rules"] = {"r": {"when": 'fact.type == "a" and fact.x > 1', "then": [{"assert": {"type": "b"}}]}}
    document["facts"]["b"] = {}
    assert load(json.dumps(document, indent=2)).rules[0].types == {"a"}


def test_json_may_escape_a_character_as_two_halves() -> None:
    document = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": "j", "traits": {"t": "string?"}}
    document["segments"] = {"x": {"when": 'contact.t == "\U0001f600" or has(contact.u)'}}
    text = json.dumps(document)
    assert "\\ud83d\\ude00" in text
    (finding,) = inspect(text)[1]
    assert (finding.code, finding.column) == ("condition.unknown_field", text.index("contact.u") + 1)
    mended = text.replace("contact.u", "contact.t")
    for each in (mended, laid_out(mended)):
        when = load(each).segments["x"].when
        assert when is not None
        assert spell(when) == 'contact.t == "\U0001f600" or has(contact.t)'


def test_text_of_yaml_1_2_stays_text() -> None:
    head = "apiVersion: overture/v1\nkind: Ruleset\nname: t\nfacts: {a: {x: string}}\nconsts: {no: NO, at: 12:30}\n"
    condition = "fact.type == 'a' and fact.x in [consts.no, consts.at]"
    ruleset = load(f'{head}rules: {{r: {{when: "{condition}", then: []}}}}\n')
    assert ruleset.rules[0].types == {"a"}


def test_the_revision_is_the_content() -> None:
    assert revision_of(EVERYTHING) == load(EVERYTHING).revision == load(EVERYTHING.replace("\n", "\r\n")).revision
    assert len(revision_of(EVERYTHING)) == 16
    assert revision_of(EVERYTHING + "# more\n") != revision_of(EVERYTHING)
    assert load(EVERYTHING).rules[0].revision == revision_of(EVERYTHING)


def test_too_large() -> None:
    _, found = inspect("#" * (256 * 1024 + 1))
    assert [d.code for d in found] == ["document.too_large"]


def test_a_report_ends() -> None:
    many = "".join(f"  r{i}: {{when: fact.type == 'a' and fact.x{i} > 1, then: []}}\n" for i in range(300))
    ruleset, found = inspect(
        f"apiVersion: overture/v1\nkind: Ruleset\nname: x\nfacts: {{a: {{x: int}}}}\nrules:\n{many}"
    )
    assert ruleset is None
    assert len(found) == 201
    assert found[-1].code == "document.too_many_findings"


def test_rules_that_exclude_each_other_may_write_the_same_trait() -> None:
    text = EVERYTHING + "\n"
    rules = """\
  big: {when: fact.type == "bought" and fact.total >= 100, then: [{set: {tier: gold}}]}
  small: {when: fact.type == "bought" and fact.total < 100, then: [{set: {tier: silver}}]}
"""
    assert inspect(text.replace("templates:\n", rules + "templates:\n"))[1] == []


def test_a_segment_may_read_itself() -> None:
    segment = 'segments:\n  hot: {when: contact.n >= 25 or ("hot" in contact.segments and contact.n >= 20)}\n'
    assert inspect(EVERYTHING.replace("segments:\n", segment, 1))[1] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_rulesets_draw_no_finding(path: Path) -> None:
    ruleset, found = inspect(path.read_text())
    assert found == []
    assert ruleset is not None
    assert ruleset.name == path.stem


def test_every_code_is_explained() -> None:
    assert all(entry.title and entry.explanation.endswith(".") for entry in CODES.values())


def test_five_hundred_rules_are_the_limit() -> None:
    head = "apiVersion: overture/v1\nkind: Ruleset\nname: x\nfacts: {a: {}}\nrules:\n"
    rule = "  r{}: {{when: fact.type == 'a', then: []}}\n"
    assert len(load(head + "".join(rule.format(i) for i in range(500))).rules) == 500
    assert [d.code for d in inspect(head + "".join(rule.format(i) for i in range(501)))[1]] == ["document.too_large"]


def test_a_priority_is_whole_however_it_is_written() -> None:
    rule, *_ = load(EVERYTHING.replace("priority: 10", "priority: 10.0")).rules
    assert (rule.priority, type(rule.priority)) == (10, int)
    _, found = inspect(EVERYTHING.replace("priority: 10", "priority: 10.5"))
    assert [d.message for d in found if d.severity == "error"] == ["priority is a whole number from -1000 to 1000"]
