"""Rulesets linked into one program."""

from __future__ import annotations

from pathlib import Path

import pytest

from overture.rules.document import load
from overture.rules.journey import conditions_of
from overture.rules.linking import link
from overture.rules.reach import named_types
from overture.rules.report import RulesetInvalid
from overture.rules.ruleset import Ruleset

SHIPPED = sorted(p for p in (Path(__file__).parents[2] / "rulesets").glob("*.yaml") if ".test." not in p.name)


def ruleset(name: str, body: str) -> Ruleset:
    return load(f"apiVersion: overture/v1\nkind: Ruleset\nname: {name}\n{body}")


def segment_reading(name: str, other: str) -> str:
    return f"segments: {{{name}: {{when: '\"{other}\" in contact.segments'}}}}\n"


def codes(*rulesets: Ruleset, channels: list[str] | None = None) -> list[str]:
    with pytest.raises(RulesetInvalid) as caught:
        link(rulesets, 1, channels)
    return [d.code for d in caught.value.diagnostics]


def test_the_shipped_rulesets_make_a_program() -> None:
    program = link([load(path.read_text()) for path in SHIPPED], 7, ["email"])

    assert program.version == 7
    assert set(program.rulesets) == {path.stem for path in SHIPPED}
    assert [r.id for r in program.rules_by_type["order_completed"]] == ["first_purchase/order"]
    assert {r.name for r in program.rules_by_type["purchase"]} == {"first", "again", "earlier-than-known"}
    awaited = {name for j in program.journeys.values() for when in conditions_of(j) for name in named_types(when)}
    assert program.types == set(program.rules_by_type) | {decl.key.type for decl in program.series.values()} | awaited
    assert program.segment_reads["qualified"] == {"scores.lead", "segments.qualified"}
    assert "loyal" not in program.segment_reads
    assert {s.name for s in program.segments} >= {"hot", "loyal", "proposal", "qualified"}
    assert set(program.scores) >= {"lead", "interest", "spend", "orders"}
    revision = program.rulesets["first_purchase"].revision
    template = program.template("first_purchase", revision, "voucher")
    assert template is not None
    assert "{{ issued.voucher.code }}" in template.text
    assert program.template("first_purchase", "0" * 16, "voucher") is None


def test_rules_fire_by_priority_then_ruleset_then_name() -> None:
    facts = "facts: {a: {}}\nrules:\n"
    rule = '  {}: {{when: fact.type == "a", priority: {}, then: []}}\n'
    one = ruleset("one", facts + rule.format("z", 0) + rule.format("y", 5))
    two = ruleset("two", facts + rule.format("a", 5) + rule.format("b", -1))

    assert [r.id for r in link([two, one], 1).rules] == ["one/y", "two/a", "one/z", "two/b"]


def test_segments_come_after_those_they_read_across_rulesets() -> None:
    one = ruleset("one", "requires: {segments: [z]}\n" + segment_reading("a", "z"))
    two = ruleset(
        "two", "traits: {n: int}\nsegments: {z: {when: contact.n > 1}, b: {when: '\"z\" in contact.segments'}}\n"
    )
    assert [s.name for s in link([one, two], 1).segments] == ["z", "a", "b"]


def test_a_circle_of_segments_across_rulesets() -> None:
    one = ruleset("one", "requires: {segments: [z]}\n" + segment_reading("a", "z"))
    two = ruleset("two", "requires: {segments: [a]}\n" + segment_reading("z", "a"))
    assert codes(one, two) == ["segment.cycle"]


def test_the_same_declaration_twice_is_one() -> None:
    body = "scores: {lead: {max: 10}}\nlists: {l: {}}\nsegments: {s: {}}\n"
    assert set(link([ruleset("one", body), ruleset("two", body)], 1).scores) == {"lead"}


def test_different_declarations_are_refused() -> None:
    one = ruleset(
        "one", "traits: {n: int}\nscores: {lead: {max: 10}}\nlists: {l: {}}\nsegments: {s: {when: contact.n > 1}}\n"
    )
    two = ruleset(
        "two", "traits: {n: string}\nscores: {lead: {}}\nlists: {l: {channel: c, purpose: p}}\nsegments: {s: {}}\n"
    )
    assert codes(one, two) == ["link.duplicate", "link.duplicate", "link.duplicate", "link.type_conflict"]
    assert codes(one, one) == ["link.duplicate"]


def test_requirements_must_be_met() -> None:
    needy = ruleset("needy", "requires: {channels: [email], scores: [lead], segments: [s], lists: [l]}\n")
    giving = ruleset("giving", "scores: {lead: {}}\nsegments: {s: {}}\nlists: {l: {}}\n")
    assert codes(needy) == ["link.unmet"] * 3
    assert codes(needy, giving, channels=["webhook"]) == ["link.unmet"]
    assert link([needy, giving], 1, ["email"]).version == 1


def test_what_does_not_fit_together_has_a_place() -> None:
    one = "facts:\n  f: {x: int}\ntraits: {n: int}\nscores:\n  lead: {max: 10}\nlists: {l: {}}\nsessions: {idle: 30m}\n"
    two = """\
requires:
  scores: [mine, other]
  lists: news
  channels:
    - email
facts:
  g: {}
  f:
    x: string
traits: {m: int, n: string}
scores: {s: {}, lead: {}}
lists:
  l: {channel: c, purpose: p}
sessions: {idle: 1h}
"""
    with pytest.raises(RulesetInvalid) as caught:
        link([ruleset("one", one), ruleset("two", two)], 1, ["webhook"])
    head = ruleset("two", "").source.count("\n")
    assert sorted((d.line - head, d.column, d.code) for d in caught.value.diagnostics) == [
        (2, 12, "link.unmet"),
        (2, 18, "link.unmet"),
        (3, 10, "link.unmet"),
        (5, 7, "link.unmet"),
        (9, 5, "link.type_conflict"),
        (10, 18, "link.type_conflict"),
        (11, 17, "link.duplicate"),
        (13, 3, "link.duplicate"),
        (14, 1, "link.duplicate"),
    ]


def test_facts_that_derive_each_other_across_rulesets() -> None:
    facts = "facts: {a: {}, b: {}}\nrules:\n"
    one = ruleset("one", facts + '  x: {when: fact.type == "a", then: [{assert: {type: b}}]}\n')
    two = ruleset("two", facts + '  y: {when: fact.type == "b", then: [{assert: {type: a}}]}\n')
    with pytest.raises(RulesetInvalid) as caught:
        link([one, two], 1)
    assert [d.code for d in caught.value.diagnostics] == ["rule.derived_cycle"]
    assert "a → b → a" in str(caught.value)


def test_a_change_of_one_score_may_set_off_a_change_of_another() -> None:
    rule = 'when: fact.type == "score.changed" and fact.name == "x", then: [{score: {name: y, add: 1}}]'
    body = f"scores: {{x: {{}}, y: {{}}}}\nrules: {{r: {{{rule}}}}}\n"
    assert link([ruleset("one", body)], 1).types == {"score.changed"}


def test_a_required_segment_with_a_condition_is_not_moved_by_an_action() -> None:
    rule = "rules: {r: {when: fact.type == 'a', then: [{segment: {enter: s}}]}}"
    one = ruleset("one", f"requires: {{segments: [s]}}\nfacts: {{a: {{}}}}\n{rule}\n")
    two = ruleset("two", "traits: {n: int}\nsegments: {s: {when: contact.n > 1}}\n")
    assert codes(one, two) == ["segment.computed"]


def test_rules_of_two_rulesets_that_write_one_trait() -> None:
    def writing(name: str, tier: str, priority: int = 0, when: str = 'fact.type == "a"') -> Ruleset:
        body = f"rules: {{r: {{priority: {priority}, when: '{when}', then: [{{set: {{tier: {tier}}}}}]}}}}"
        return ruleset(name, f'facts: {{a: {{n: int}}}}\ntraits: {{tier: "string?", age: "int?"}}\n{body}\n')

    assert codes(writing("one", "gold"), writing("two", "silver")) == ["rule.trait_conflict"]
    assert link([writing("one", "gold"), writing("two", "gold")], 1).version == 1
    assert link([writing("one", "gold"), writing("two", "silver", 1)], 1).version == 1
    apart = [writing(name, name, 0, f'fact.type == "a" and fact.n {op} 3') for name, op in (("one", ">"), ("two", "<"))]
    assert link(apart, 1).version == 1


def test_a_while_that_depends_on_what_it_does_by_way_of_another_ruleset() -> None:
    head = 'traits: {a: "string?", b: "string?"}\n'
    one = ruleset("one", f"{head}rules: {{r: {{while: contact.a == 'x', then: [{{set: {{b: x}}}}]}}}}\n")
    two = ruleset("two", f"{head}rules: {{s: {{while: contact.b == 'x', then: [{{set: {{a: x}}}}]}}}}\n")
    with pytest.raises(RulesetInvalid) as caught:
        link([one, two], 1)
    assert [d.code for d in caught.value.diagnostics] == ["while.cycle"]
    assert "traits.b → while s → traits.a → while r" in str(caught.value)


def test_a_circle_through_a_segment_is_only_a_warning() -> None:
    body = "scores: {s: {}}\nsegments: {hot: {when: contact.scores.s > 5, on_enter: [{score: {name: s, add: -9}}]}}\n"
    assert link([ruleset("one", body)], 1).version == 1


def test_the_series_of_all_active_rulesets_are_bounded() -> None:
    def counting(name: str, first: int, n: int) -> Ruleset:
        numbers = range(first, first + n)
        facts = "".join(f"  ev{j}: {{}}\n" for j in numbers)
        segments = "".join(f'  {name}{j}:\n    when: seen("ev{j}")\n' for j in numbers)
        return ruleset(name, f"facts:\n{facts}segments:\n{segments}")

    several = [counting("a", 0, 200), counting("b", 200, 200), counting("c", 400, 100)]
    assert len(link(several, 1).series) == 500
    assert len(link([*several, counting("d", 0, 200)], 1).series) == 500  # of facts that are counted already
    assert codes(*several, counting("d", 500, 1)) == ["history.too_many"]
