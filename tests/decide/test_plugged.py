"""Functions and scorers of plugins in the pure step: what they say counts, and what they cannot say costs one rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from decidekit import HEAD, Show, done, rules

from overture.decide import Plan
from overture.model.pure import Pure
from overture.plugin import FunctionPlugin, Scored, ScoreInput, ScorerPlugin
from overture.plugin.asking import HostedFunction, HostedScorer
from overture.rules import link, load
from overture_scoring.fit import Fit, FitConfig
from overture_scoring.half_life import DAY, HalfLife, HalfLifeConfig


def function(name: str, call: Callable[..., Any], *parameters: str, returns: str = "bool") -> HostedFunction:
    return HostedFunction(FunctionPlugin(name=name, parameters=parameters, returns=returns, call=call))


def risky(text: str) -> bool:
    if text == "boom":
        raise RuntimeError("no idea")
    return text == "yes"


PLUGGED = [
    function("risky", risky, "string"),
    function("longer", lambda text, n: len(text) > (3 if n is None else n), "string", "int?"),
    function("initials", lambda name: name.split()[0][0] + name.split()[-1][0], "string", returns="string"),
    function("day_of", lambda at: at // DAY, "datetime", returns="int"),
]
SCORERS = [
    HostedScorer(ScorerPlugin(name="fit", config=FitConfig, open=Fit, version="3")),
    HostedScorer(ScorerPlugin(name="half_life", config=HalfLifeConfig, open=HalfLife, version="1")),
]
PURE = Pure({h.plugin.name: h.function for h in PLUGGED}, {h.plugin.name: h.scorer for h in SCORERS})


def plan(document: str, kind: Any = "durable", pure: Pure = PURE) -> Plan:
    return Plan(link([load(HEAD.format(name="a") + document, pure)], 1), kind)


BASE = """\
facts: {said: {text: "string?", n: "int?"}, seen: {at: datetime}}
traits: {name: "string?", tier: "string?", day: "int?", last_demo_at: "datetime?", country: "string?", seats: "int?"}
scores: {lead: {min: 0, max: 50}, other: {}}
"""


@pytest.mark.parametrize("kind", ["durable", "reference"])
def test_a_condition_calls_a_function_with_what_the_fact_says(kind: Any) -> None:
    ada = Show(
        plan(
            BASE
            + """\
rules:
  risky: {when: 'fact.type == "said" and risky(fact.text)', then: [{score: {name: other, add: 1}}]}
  safe: {when: 'fact.type == "said" and not risky(fact.text)', then: [{score: {name: other, add: 10}}]}
  long: {when: 'fact.type == "said" and longer(fact.text, fact.n)', then: [{set: {tier: "= initials(fact.text)"}}]}
""",
            kind,
        )
    )
    assert rules(ada.fact("said", text="yes")) == ["a/risky"]
    assert rules(ada.fact("said", text="Ada Lovelace", n=5)) == ["a/long", "a/safe"]
    assert ada.contact.traits["tier"] == "AL"
    assert rules(ada.fact("said", text="Ada Lovelace", n=50)) == ["a/safe"]
    assert rules(ada.fact("said", n=5)) == ["a/safe"]  # what must be there is not: missing, and nothing was called


@pytest.mark.parametrize("kind", ["durable", "reference"])
def test_where_a_function_fails_that_rule_alone_does_not_fire_and_the_trace_says_why(kind: Any) -> None:
    ada = Show(
        plan(
            BASE
            + """\
rules:
  risky: {when: 'fact.type == "said" and risky(fact.text)', then: [{score: {name: other, add: 1}}]}
  safe: {when: 'fact.type == "said" and not risky(fact.text)', then: [{score: {name: other, add: 10}}]}
  either: {when: 'fact.type == "said" and (has(fact.text) or risky(fact.text))', then: [{score: {name: lead, add: 1}}]}
  value: {when: 'fact.type == "said"', then: [{set: {tier: "= initials(fact.text)", name: Ada}}]}
""",
            kind,
        )
    )
    told = ada.fact("said", text="boom")
    assert rules(told) == ["a/either", "a/value"]
    assert [(e.kind, e.name, e.key, e.reason) for e in told.trace.effects] == [
        ("function", "risky", "a#/rules/risky/when", "plugin.raised"),
        ("function", "risky", "a#/rules/safe/when", "plugin.raised"),
    ]
    assert told.trace.effects[0].after == "The function risky raised RuntimeError: no idea."
    told = ada.fact("said", text=" ")
    assert ("a/value", "set", "tier", "value.missing") in done(told)
    assert [(e.name, e.key) for e in told.trace.effects] == [("initials", "a#/rules/value/then/0/set/tier")]
    assert ada.contact.traits == {"tier": "bb", "name": "Ada"}


def test_a_segment_and_a_while_stay_as_they_are_where_nobody_knows() -> None:
    ada = Show(
        plan(
            BASE
            + """\
rules:
  said: {when: 'fact.type == "said"', then: [{set: {name: "= fact.text"}}]}
  held: {while: risky(contact.name), then: [{set: {tier: gold}}]}
segments:
  risky: {when: risky(contact.name), on_leave: [{score: {name: other, add: 1}}]}
  safe: {when: not risky(contact.name)}
"""
        )
    )
    ada.fact("said", text="yes")
    assert (sorted(ada.contact.segments), ada.contact.traits["tier"]) == (["risky"], "gold")
    told = ada.fact("said", text="boom")
    assert (sorted(ada.contact.segments), ada.contact.traits["tier"]) == (["risky"], "gold")
    assert {(e.key, e.reason) for e in told.trace.effects} == {
        (f"a#/{place}", "plugin.raised") for place in ("rules/held/while", "segments/risky/when", "segments/safe/when")
    }
    ada.fact("said", text="no")
    assert (sorted(ada.contact.segments), ada.contact.traits.get("tier")) == (["safe"], None)


def test_past_facts_are_asked_about_with_functions_and_time_goes_on_in_them() -> None:
    ada = Show(
        plan(
            BASE
            + """\
rules:
  seen:
    when: fact.type == "seen" and count("said", where="risky(fact.text)") == 2
    then: [{set: {day: "= day_of(now())"}}]
"""
        )
    )
    for text in ("yes", "boom", "no", "yes"):
        ada.fact("said", text=text)
    assert rules(ada.fact("seen")) == ["a/seen"]
    assert ada.contact.traits["day"] == ada.contact.clock // DAY


BY = """\
rules:
  moved: {when: 'fact.type == "seen"', then: [{set: {last_demo_at: "= fact.at", country: DE, seats: 20}}]}
  fit:
    when: fact.type == "said"
    then:
      - score:
          name: lead
          by: fit
          with: {base: 5, traits: {country: {is: {DE: 20}}, seats: {at_least: {10: 15, 50: 30}}}}
      - score: {name: other, by: half_life, with: {days: 1, points: {last_demo_at: 40}}}
"""


def test_a_score_is_what_the_scorer_says_within_its_bounds_and_the_trace_has_its_shares() -> None:
    ada = Show(plan(BASE + BY))
    ada.fact("seen", at=1_800_000_000_000 - DAY)
    told = ada.fact("said")
    assert ada.contact.scores["lead"] == 40
    assert ada.contact.scores["other"] == pytest.approx(20, abs=0.01)
    (firing,) = told.trace.firings
    scorer, score, *_ = firing.effects
    assert (scorer.kind, scorer.name, scorer.key, scorer.before, scorer.reason) == ("scorer", "fit", "lead", "3", "")
    assert scorer.after == {"value": 40.0, "contributions": {"country": 20.0, "seats": 15.0}}
    assert (score.kind, score.name, score.before, score.after) == ("score", "lead", 0, 40)
    again = ada.fact("said")
    assert [(e.kind, e.name) for e in again.trace.firings[0].effects][:2] == [
        ("scorer", "fit"),
        ("scorer", "half_life"),
    ]


class Odd:
    def __init__(self, config: Any) -> None:
        pass

    def score(self, given: ScoreInput) -> Any:
        match given.fact.properties.get("text"):
            case "nan":
                return Scored(float("nan"))
            case "late":
                return 3
            case "deep":
                return self.score(given)
            case "write":
                given.contact.traits["name"] = "Eve"  # type: ignore[index]
            case "exit":
                raise SystemExit(3)
            case _:
                return Scored(7, {"it": 1.5})


ODD = Pure({}, {"odd": HostedScorer(ScorerPlugin(name="odd", config=FitConfig, open=Odd, version="0")).scorer})
ODD_RULES = """\
rules:
  odd:
    when: fact.type == "said"
    then: [{score: {name: lead, by: odd, with: {traits: {a: {is: {b: 1}}}}}}, {set: {name: Ada}}]
  other: {when: 'fact.type == "said"', then: [{score: {name: other, add: 1}}]}
"""


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("nan", "plugin.wrong_answer", "not finite"),
        ("late", "plugin.wrong_answer", "int: no Scored"),
        ("deep", "plugin.raised", "RecursionError"),
        ("write", "plugin.raised", "TypeError"),
        ("exit", "plugin.raised", "SystemExit"),
    ],
)
def test_a_scorer_that_fails_leaves_the_score_and_everything_else_of_the_fact_goes_on(
    text: str, reason: str, said: str
) -> None:
    ada = Show(plan(BASE + ODD_RULES, pure=ODD))
    told = ada.fact("said", text=text)
    assert rules(told) == ["a/odd", "a/other"]
    failed = told.trace.firings[0].effects[0]
    assert (failed.kind, failed.name, failed.key, failed.reason) == ("scorer", "odd", "lead", reason)
    assert said in failed.after
    assert ada.contact.scores == {"other": 1}
    assert ada.contact.traits["name"] == "Ada"
    ada.fact("said", text="good")
    assert ada.contact.scores == {"lead": 7, "other": 2}


def test_the_same_facts_give_the_same_state_and_the_same_trace() -> None:
    def story() -> list[Any]:
        ada = Show(plan(BASE + BY))
        ada.fact("seen", at=1_799_999_000_000)
        ada.fact("said", text="boom")
        return [(step.contact, step.trace) for step in ada.steps]

    assert story() == story()
