"""Rules over several facts, rules that hold for a while, sessions: what a document with them becomes."""

from __future__ import annotations

from typing import Any

import pytest

from overture.match import compile_condition, compile_relation
from overture.model import Candidate, Contact, Fact
from overture.rules import RulesetInvalid, link, load
from overture.rules.ruleset import ListAction, Ruleset, ScoreAction, SetAction
from overture.rules.spelling import spell
from overture.rules.tree import Decaying

DAY = 86_400_000


def ruleset(body: str, name: str = "one") -> Ruleset:
    return load(f"""apiVersion: overture/v1
kind: Ruleset
name: {name}
facts: {{page_viewed: {{path: string, visit: "string?"}}, paid: {{total: number, visit: "string?"}}}}
traits: {{city: "string?", age: "int?", note: "string?"}}
{body}
""")


def fact(type: str, id: str = "f", **properties: Any) -> Fact:
    return Fact(id, type, "ada", 0, 0, properties)


JOIN = """
scores: {lead: {}}
rules:
  r:
    when:
      all:
        - first: fact.type == "page_viewed" and fact.path == "/pricing"
        - second: >-
            fact.type == "page_viewed" and fact.path == "/security"
            and fact.visit == first.visit and fact.id != first.id
        - third: fact.type == "paid" and (fact.total > 100 or fact.visit == second.visit) and contact.age > 3
      within: 7d
    then: [{score: {name: lead, add: 1}}]
"""


def test_a_join_is_its_parts_and_how_they_stand_to_each_other() -> None:
    (rule,) = ruleset(JOIN).rules
    join = rule.join
    assert join is not None
    assert join.within_ms == 7 * DAY
    assert [spell(p.when) for p in join.parts] == [
        'fact.type == "page_viewed" and fact.path == "/pricing"',
        'fact.type == "page_viewed" and fact.path == "/security"',
        'fact.type == "paid" and contact.age > 3',
    ]
    assert [p.relation and spell(p.relation) for p in join.parts] == [
        None,
        "second.visit == first.visit and second.id != first.id",
        "third.total > 100 or third.visit == second.visit",
    ]
    assert [p.types for p in join.parts] == [{"page_viewed"}, {"page_viewed"}, {"paid"}]
    assert [p.reads for p in join.parts] == [{"visit"}, {"visit"}, {"total", "visit"}]
    assert rule.types == {"page_viewed", "paid"}


def test_the_rule_itself_holds_where_a_fact_is_one_of_the_parts() -> None:
    (rule,) = ruleset(JOIN).rules
    when = compile_condition(rule.when)
    ada, child = Contact("ada", traits={"age": 30}), Contact("ada", traits={"age": 2})
    assert when(fact("page_viewed", path="/pricing"), child)
    assert when(fact("page_viewed", path="/security"), child)
    assert not when(fact("page_viewed", path="/"), ada)
    assert when(fact("paid", total=1), ada)
    assert not when(fact("paid", total=1), child)


def test_relations_are_asked_over_the_facts_in_the_order_of_the_parts() -> None:
    (rule,) = ruleset(JOIN).rules
    assert rule.join is not None
    ada = Contact("ada")
    _, second, third = (p.relation and compile_relation(p.relation) for p in rule.join.parts)
    assert second
    assert third
    a, b = Candidate("a", "page_viewed", 1, {"visit": "v"}), Candidate("b", "page_viewed", 2, {"visit": "v"})
    other = Candidate("c", "page_viewed", 2, {"visit": "w"})
    assert second([a, b], ada)
    assert not second([a, a], ada)
    assert not second([a, other], ada)
    assert third([a, b, fact("paid", total=1, visit="v")], ada)
    assert third([a, b, fact("paid", total=101)], ada)
    assert not third([a, b, fact("paid", total=1)], ada)


def test_a_join_reads_the_scores_that_the_linker_found_decaying() -> None:
    body = """
requires: {scores: [warm]}
lists: {news: {}}
rules:
  r:
    when:
      all:
        - first: fact.type == "page_viewed" and contact.scores.warm > 3
        - second: fact.type == "paid" and fact.visit == first.visit and fact.total > contact.scores.warm
      within: 1h
    then: [{list: {add: news}}]
"""
    program = link([ruleset(body), ruleset("scores: {warm: {decay: {half_life: 1d}}}", "two")], 1)
    (rule,) = program.rules
    assert "Decaying" in repr(rule.when)
    assert rule.join is not None
    assert all("Decaying" in repr(part.when) for part in rule.join.parts)


WHILE = """
scores: {fit: {}, other: {}}
lists: {near: {}}
rules:
  in-new-york:
    description: Five points while it is true.
    while: contact.city == "New York" and count("page_viewed", within="7d") > 0
    priority: 3
    then:
      - score: {name: fit, add: 5}
      - set: {note: near}
      - list: {add: near}
  here:
    while: has(contact.city)
    then: [{score: {name: other, add: = contact.age}}]
"""


def test_while_is_a_rule_of_its_own_kind() -> None:
    program = link([ruleset(WHILE)], 1)
    assert program.rules == ()
    first, second = program.whiles
    assert (first.id, first.priority, second.id) == ("one/in-new-york", 3, "one/here")
    assert [type(a) for a in first.then] == [ScoreAction, SetAction, ListAction]
    assert program.while_reads == {
        "one/in-new-york": {"traits.city", "history.page_viewed", "clock"},
        "one/here": {"traits.city"},
    }
    assert set(program.series) == {"page_viewed"}
    assert program.series["page_viewed"].keep_ms == 7 * DAY


def test_points_in_a_score_that_decays_are_not_held() -> None:
    body = "requires: {scores: [warm]}\nrules: {r: {while: contact.age > 3, then: [{score: {name: warm, add: 1}}]}}"
    with pytest.raises(RulesetInvalid) as caught:
        link([ruleset(body), ruleset("scores: {warm: {decay: {half_life: 1d}}}", "two")], 1)
    assert [d.code for d in caught.value.diagnostics] == ["while.action"]


def test_sessions_belong_to_the_program() -> None:
    one, two = ruleset("sessions: {idle: 30m, types: [page_viewed]}"), ruleset("sessions: {idle: 1h}", "two")
    program = link([one], 1)
    assert program.sessions is not None
    assert (program.sessions.idle_ms, program.sessions.types) == (1_800_000, {"page_viewed"})
    assert link([one, ruleset("sessions: {idle: 30m, types: page_viewed}", "two")], 1).sessions == program.sessions
    assert link([ruleset("")], 1).sessions is None
    with pytest.raises(RulesetInvalid) as caught:
        link([one, two], 1)
    assert [d.code for d in caught.value.diagnostics] == ["link.duplicate"]


# --- what links ------------------------------------------------------------------------------------------------


def test_series_are_what_all_rulesets_need() -> None:
    one = ruleset("""
scores: {lead: {}}
rules:
  r:
    when: >-
      fact.type == "paid" and count("page_viewed", within="7d") > 3 and count("page_viewed") < 100
      and total("paid", "total", within="this month") > 50 and seen("page_viewed", where="fact.path == '/'")
    once_per: fact.visit
    then:
      - score: {name: lead, add: '= total("paid", "total")'}
""")
    two = ruleset('segments: {s: {when: \'seen("page_viewed", within="30d")\', on_enter: []}}', "two")
    series = link([one, two], 1).series
    assert {decl.key.type for decl in series.values()} == {"page_viewed", "paid"}
    assert series["page_viewed"].keep_ms == 30 * DAY
    assert series["paid:total"].keep_ms >= 31 * DAY
    (filtered,) = [decl for id, decl in series.items() if "?" in id]
    assert filtered.keep_ms == 0
    assert filtered.key.where is not None
    assert "page_viewed" in link([two], 1).types


def test_a_series_is_known_by_what_it_means() -> None:
    def ids(where: str) -> set[str]:
        return set(link([ruleset(f'segments: {{s: {{when: \'seen("paid", where="{where}")\'}}}}')], 1).series)

    assert ids("fact.total > 3") == ids("fact.total  >  3") == ids("(fact.total > 3)")
    assert ids("fact.total > 3") != ids("fact.total > 4")


def test_scores_decay_in_all_that_is_linked() -> None:
    source = ruleset("""
scores: {warm: {min: 0, max: 9, decay: {half_life: 14d}}, keyed: {per: path, decay: {half_life: 1h}}}
rules:
  r:
    when: fact.type == "page_viewed" and contact.scores.warm > 3 and contact.scores.keyed["/"] > 2
    then: [{set: {age: = contact.scores.warm + 1}}]
segments:
  s: {when: contact.scores.warm > 3}
""")
    program = link([source], 1)
    assert program.scores["warm"].half_life == 14 * DAY
    assert repr(program.rules[0].when).count("Decaying") == 2
    assert "Decaying" in repr(program.rules[0].then)
    assert program.segment_reads["s"] == {"scores.warm", "clock"}
    decaying = program.segments[0].when
    assert decaying is not None
    assert isinstance(getattr(decaying, "left", None), Decaying)
    assert "Decaying" not in repr(source.rules)


def test_a_required_score_that_decays_must_be_asked_so_that_it_can_be_told_when() -> None:
    one = ruleset("requires: {scores: [warm]}\nsegments: {s: {when: contact.scores.warm * 2 > 3}}")
    two = ruleset("scores: {warm: {decay: {half_life: 1d}}}", "two")
    assert link([one, ruleset("scores: {warm: {}}", "two")], 1).segment_reads["s"] == {"scores.warm"}
    with pytest.raises(RulesetInvalid) as caught:
        link([one, two], 1)
    (found,) = caught.value.diagnostics
    assert (found.code, found.pointer) == ("condition.clock", "one#/segments/s")
