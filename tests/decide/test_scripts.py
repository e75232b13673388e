"""What the step asks of scripts, and what it does of their answers. No script is run here: answers are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from decidekit import done, made, plan

from overture.decide import Plan, step
from overture.decide.asked import step_asking
from overture.decide.limits import SCRIPT_CALLS, SCRIPT_CHANGES
from overture.model import Contact, Fact, Step
from overture.model.script import Awaiting, Call, Said
from overture.rules import load
from overture.rules.difference import difference

RULESET = """
requires: {channels: [email]}
facts:
  order: {total: number, note: "string?"}
  big_order: {total: number, note: "string?"}
traits: {tier: "string?", seats: "int?", secret: "string?"}
scores: {lead: {min: 0, max: 100}, interest: {per: topic}, other: {}}
lists: {news: {channel: email, purpose: marketing}, plain: {}}
segments: {vip: {}, late: {}}
scripts:
  sort:
    takes: [fact, contact.traits.tier, contact.scores.lead, now]
    changes: {set: [tier, seats], score: [lead, interest], assert: big_order, segment: vip, list: [news, plain]}
    code: |
      def main(fact, contact, now):
          return None
  fit: |
    def main(fact):
        return 0
  data: |
    def main(contact):
        return {}
rules:
  sort:
    priority: 5
    when: fact.type == "order"
    then: [{run: sort}]
  fit:
    when: fact.type == "order"
    then: [{score: {name: other, by: fit}}]
  thanks:
    when: fact.type == "order" and fact.total > 50
    then: [{send: {channel: email, template: thanks, purpose: transactional}}]
  seen:
    when: fact.type == "big_order"
    then: [{score: {name: lead, add: 1}}]
templates:
  thanks: {subject: Thanks, text: "Hello", data: {script: data}}
"""


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(RULESET)


class Asked:
    """Answers by the name of the script, and what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"sort": None, "fit": 1, "data": {}, **answers}
        self.calls: list[Call] = []

    def __call__(self, calls: Sequence[Call]) -> list[Said]:
        self.calls += calls
        found = [self.answers[call.script.name] for call in calls]
        return [each if isinstance(each, Said) else Said(each) for each in found]


def decided(planned: Plan, asked: Asked, contact: Contact | None = None, **properties: Any) -> Step:
    fact = made("order", 1, properties={"total": 10, **properties})
    return step_asking(contact or Contact("ada"), fact, planned, fact.accepted_at, asked)


def of(step: Step, rule: str) -> list[tuple[Any, ...]]:
    """(kind, name, key, reason or after) of what a rule did."""
    firings = [firing for firing in step.trace.firings if firing.rule == f"a/{rule}"]
    return [(e.kind, e.name, e.key, e.reason or e.after) for firing in firings for e in firing.effects]


def test_what_is_missing_is_asked_and_nothing_is_changed_until_it_is_answered(planned: Plan) -> None:
    contact = Contact("ada")
    before = msgspec.msgpack.encode(contact)

    with pytest.raises(Awaiting) as waits:
        step(contact, made("order", 1, properties={"total": 10}), planned, 0)

    (call,) = waits.value.calls
    assert call.script.path == "a/sort"
    assert msgspec.msgpack.encode(contact) == before


def test_a_call_is_given_what_was_declared_and_nothing_else(planned: Plan) -> None:
    ada = Contact("ada", traits={"tier": "gold", "secret": "s"}, scores={"lead": 7, "other": 3})
    asked = Asked()

    decided(planned, asked, ada, note=None)

    given = msgspec.json.decode(next(c for c in asked.calls if c.script.name == "sort").given)
    when = "2027-01-15T08:00:01.000Z"
    fact = {"total": 10, "type": "order", "id": "f1", "occurred_at": when}
    assert given == {"fact": fact, "contact": {"traits": {"tier": "gold"}, "scores": {"lead": 7}}, "now": when}
    again = Asked()
    decided(planned, again, Contact("ada", traits={"tier": "gold", "secret": "t"}, scores={"lead": 7, "other": 9}))
    assert [c for c in again.calls if c.script.name == "sort"] == [c for c in asked.calls if c.script.name == "sort"]


def test_what_it_answers_is_done_like_any_action(planned: Plan) -> None:
    answer = {
        "set": {"tier": "gold", "seats": 3},
        "score": {"lead": 5, "interest": {"seo": 2}},
        "assert": [{"type": "big_order", "properties": {"total": 10}}],
        "segment": {"enter": ["vip"]},
        "list": {"add": ["plain", "news"]},
    }

    outcome = decided(planned, Asked(sort=answer))

    contact = outcome.contact
    assert contact.traits == {"tier": "gold", "seats": 3}
    assert contact.scores == {"lead": 6, "interest": {"seo": 2}, "other": 1}  # the derived fact went through the rules
    assert set(contact.segments) == {"vip"}
    assert set(contact.lists) == {"plain"}
    assert of(outcome, "sort")[0] == ("script", "sort", "", answer)
    assert ("list", "news", "", "consent.missing") in of(outcome, "sort")


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ({"set": {"secret": "x"}}, ("set", "secret", "", "script.undeclared")),
        ({"set": {"seats": "three"}}, ("set", "seats", "", "script.wrong_type")),
        ({"set": {"seats": True}}, ("set", "seats", "", "script.wrong_type")),
        ({"set": {"tier": "x" * 70_000}}, ("set", "tier", "", "value.too_large")),
        ({"score": {"other": 1}}, ("score", "other", "", "script.undeclared")),
        ({"score": {"lead": "1"}}, ("score", "lead", "", "value.not_a_number")),
        ({"score": {"interest": 1}}, ("score", "interest", "", "score.no_key")),
        ({"score": {"interest": {"": 1}}}, ("score", "interest", "", "score.no_key")),
        ({"assert": [{"type": "order"}]}, ("assert", "order", "", "script.undeclared")),
        ({"assert": [{"type": "big_order"}]}, ("assert", "big_order", "total", "script.missing_property")),
        ({"assert": [7]}, ("script", "sort", "assert", "script.wrong_shape")),
        ({"segment": {"enter": ["late"]}}, ("segment", "late", "", "script.undeclared")),
        ({"segment": {"join": ["vip"]}}, ("script", "sort", "segment.join", "script.wrong_shape")),
        ({"list": {"add": "plain"}}, ("script", "sort", "list.add", "script.wrong_shape")),
        ({"send": {}}, ("script", "sort", "send", "script.unknown_part")),
        ({"set": []}, ("script", "sort", "set", "script.wrong_shape")),
    ],
)
def test_a_wrong_part_is_left_out_with_its_reason_and_the_others_are_done(
    planned: Plan, answer: dict[str, Any], refused: tuple[str, ...]
) -> None:
    outcome = decided(planned, Asked(sort={**answer, "list": answer.get("list", {"add": ["plain"]})}))

    assert refused in of(outcome, "sort")
    assert outcome.contact.scores["other"] == 1
    assert ("plain" in outcome.contact.lists) == ("list" not in answer)


def test_what_is_set_to_null_is_removed(planned: Plan) -> None:
    ada = Contact("ada", traits={"tier": "gold"})
    assert decided(planned, Asked(sort={"set": {"tier": None}}), ada).contact.traits == {}


@pytest.mark.parametrize("answer", [7, [], "x", {"set": {"tier": 1}}, Said(code="script.timeout", message="Cut off.")])
def test_nonsense_costs_its_rule_alone(planned: Plan, answer: Any) -> None:
    outcome = decided(planned, Asked(sort=answer, data=Said(code="script.failed", message="Raised.")), total=100)

    assert outcome.contact.traits == {}
    assert outcome.contact.scores == {"other": 1}
    assert not outcome.messages
    assert [e[3] for e in of(outcome, "sort")][-1].startswith(
        ("script.no_object", "script.wrong_type", "script.timeout")
    )
    assert [e[3] for e in of(outcome, "thanks")] == ["script.failed", "script.failed"]
    assert not outcome.trace.error


def test_what_is_too_many_changes_is_not_made(planned: Plan) -> None:
    points = {f"topic{n}": 1 for n in range(SCRIPT_CHANGES)}
    step = decided(planned, Asked(sort={"score": {"interest": points}, "set": {"tier": "gold"}}))
    assert len(step.contact.scores["interest"]) == SCRIPT_CHANGES
    assert "tier" not in step.contact.traits
    assert of(step, "sort")[-1] == ("script", "sort", "", "script.too_many_changes")
    assert decided(planned, Asked(sort={"score": {"interest": points}})).trace.firings[0].effects[-1].kind == "score"


def test_a_script_says_what_a_score_is(planned: Plan) -> None:
    said = {"value": 12.5, "contributions": {"total": 10, "note": 2.5}}
    outcome = decided(planned, Asked(fit=said))

    assert outcome.contact.scores["other"] == 12.5
    assert of(outcome, "fit") == [("script", "fit", "other", said), ("score", "other", "", 12.5)]
    for wrong in ("12", True, {"value": None}, {"value": 1, "contributions": {"a": "b"}}, 2**60):
        assert of(decided(planned, Asked(fit=wrong)), "fit")[0][3] == "script.not_a_score"


def test_a_message_carries_what_its_script_answered(planned: Plan) -> None:
    (message,) = decided(planned, Asked(data={"cta": {"url": "https://example.com"}}), total=100).messages
    assert message.context["data"] == {"cta": {"url": "https://example.com"}}


def test_one_fact_asks_a_bounded_number_of_scripts() -> None:
    rules = "\n".join(f'  r{n}: {{when: fact.type == "a", then: [{{score: {{name: s, by: fit}}}}]}}' for n in range(30))
    head = "facts: {a: {}}\nscores: {s: {}}\nscripts:\n  fit: |\n    def main(fact):\n        return 1\nrules:\n"
    many = plan(head + rules)
    asked = Asked()
    outcome = step_asking(Contact("ada"), Fact("f1", "a", "ada", 1, 1), many, 1, asked)

    reasons = [each[-1] for each in done(outcome) if each[1] == "script"]
    assert reasons.count("script.too_many_calls") == 30 - SCRIPT_CALLS


def test_what_scripts_say_differently_is_told_and_what_they_may_change_is_known() -> None:
    head = "apiVersion: overture/v1\nkind: Ruleset\nname: a\n" + RULESET
    other = head.replace("return 0", "return 1").replace("segment: vip, ", "")
    told = [(c.section, c.name, c.facet) for c in difference(load(head), load(other))]
    assert told == [("scripts", "fit", "code"), ("scripts", "sort", "changes")]


def test_a_circle_through_a_script_is_found() -> None:
    circle = """
facts: {a: {}}
scripts:
  again:
    changes: {assert: a}
    code: |
      def main(fact):
          return {"assert": [{"type": "a"}]}
rules:
  again: {when: fact.type == "a", then: [{run: again}]}
"""
    with pytest.raises(Exception, match="a → a"):
        plan(circle)
