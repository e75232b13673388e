"""What a journey waits for, or ends by, may come by time alone: it is seen at its own instant."""

from __future__ import annotations

import pytest
from decidekit import HEAD, Show, made, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan
from overture.model import Fact
from overture.rules import RulesetInvalid, link, load

HOUR, DAY = 3_600_000, 86_400_000
T0 = 1_800_000_000_000

DOCUMENT = """
facts: {{begin: {{ends: int}}, seen: {{}}, warmed: {{}}}}
traits: {{until: int, timezone: "string?"}}
scores: {{warm: {{decay: {{half_life: 1d}}}}, done: {{}}}}
rules:
  warm: {{when: fact.type == "warmed", then: [{{score: {{name: warm, add: 8}}}}]}}
journeys:
  j:
    enter_when: fact.type == "begin"
    {journey}
    steps:
      - {{id: stay, wait: {{{wait}}}}}
      - {{id: point, score: {{name: done, add: 1}}}}
      - {{id: over, wait: {{for: 99w}}}}
"""
COLD = "contact.scores.warm <= 2"
CASES = [
    (COLD, 2 * DAY - 31),  # scores are compared to a millionth
    ('count("seen", within="3d") == 0', 3 * DAY),
    ('now() >= journey.entered_at + days("5h")', 5 * HOUR),
    ("now() > journey.fact.ends", 7 * HOUR + 1),
    ('fact.type == "seen" or now() > journey.fact.ends', 7 * HOUR + 1),
    ('not (count("seen", within="3d") > 0) and contact.scores.warm <= 4', 3 * DAY),
]


def begun(journey: str = "description: x", wait: str = "for: 98w") -> Show:
    show = Show(plan(DOCUMENT.format(journey=journey, wait=wait)))
    for n, type in enumerate(("seen", "warmed", "begin")):
        show.take(Fact(f"f{n}", type, "ada", T0, T0, {"ends": T0 + 7 * HOUR} if type == "begin" else {}))
    return show


def look(show: Show, at: int) -> None:
    show.take(Fact(f"look:{at}", "$tick", "ada", at, at))


@pytest.mark.parametrize(("condition", "after"), CASES)
def test_a_wait_is_over_at_the_instant_at_which_what_it_waits_for_comes_true(condition: str, after: int) -> None:
    show = begun(wait=f"until: '{condition}'")
    look(show, T0 + after - 1)
    assert [p.step for p in show.contact.journeys] == ["stay"]
    look(show, T0 + 9 * DAY)
    (position,) = show.contact.journeys
    assert (position.step, position.since, position.matched) == ("over", T0 + after, True)
    assert show.contact.scores["done"] == 1


@pytest.mark.parametrize("which", ["goal", "exit_when"])
@pytest.mark.parametrize(("condition", "after"), CASES)
def test_a_journey_ends_at_the_instant_at_which_its_end_comes_true(which: str, condition: str, after: int) -> None:
    show = begun(journey=f"{which}: '{condition}'")
    look(show, T0 + after - 1)
    assert [p.step for p in show.contact.journeys] == ["stay"]
    look(show, T0 + 9 * DAY)
    assert show.contact.journeys == []
    assert show.contact.ended["a/j"] == {"": T0 + after}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["seen", "warmed", "look"]), st.integers(0, 90)), max_size=8))
def test_when_somebody_looks_makes_no_difference(comes: list[tuple[str, int]]) -> None:
    """Against a contact that is looked at every hour."""
    lazy, eager = (begun(wait=f"until: '{COLD}'", journey=f"exit_when: '{CASES[1][0]}'") for _ in range(2))
    at = T0
    for n, (type, hours) in enumerate([*comes, ("look", 400)]):
        for hour in range(1, hours):
            look(eager, at + hour * HOUR)
        at += hours * HOUR
        for show in (lazy, eager):
            if type == "look":
                look(show, at)
            else:
                show.take(Fact(f"c{n}", type, "ada", at, at))
    assert lazy.contact.journeys == eager.contact.journeys
    assert lazy.contact.ended == eager.contact.ended


UNTOLD = "now() % 3 == 1"


@pytest.mark.parametrize(
    ("journey", "wait"),
    [(f"goal: {UNTOLD}", "for: 1d"), (f"exit_when: {UNTOLD}", "for: 1d"), ("description: x", f"until: {UNTOLD}")],
)
def test_what_time_alone_changes_nobody_can_tell_when_is_refused(journey: str, wait: str) -> None:
    with pytest.raises(RulesetInvalid) as refused:
        load(HEAD.format(name="a") + DOCUMENT.format(journey=journey, wait=wait))
    assert [d.code for d in refused.value.diagnostics] == ["condition.clock"]


def test_what_is_asked_on_facts_alone_may_ask_anything_of_the_clock() -> None:
    show = begun(wait="""until: 'fact.type == "seen" and local(now()).minute >= 0'""")
    assert show.contact.due == 0
    show.take(made("seen", 1))
    assert [p.step for p in show.contact.journeys] == ["over"]


def test_a_score_of_another_ruleset_that_decays_is_seen_when_they_are_linked() -> None:
    scores = load(HEAD.format(name="b") + "scores: {hot: {decay: {half_life: 1d}}}\n")
    journey = load(
        HEAD.format(name="a") + "requires: {scores: [hot]}\nfacts: {begin: {}}\njourneys:\n  j:\n    enter_when: "
        'fact.type == "begin"\n    steps: [{id: s, wait: {until: contact.scores.hot * 2 < 3}}]\n'
    )
    with pytest.raises(RulesetInvalid) as refused:
        Plan(link([scores, journey], 1), "reference")
    assert [(d.code, d.pointer) for d in refused.value.diagnostics] == [("condition.clock", "a#/journeys/j")]
