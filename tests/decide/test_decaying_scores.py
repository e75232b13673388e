"""Scores that decay, through the step: exact at any instant, in whatever order facts came, and never rewritten."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from decidekit import Show, encode, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan
from overture.match import compile_condition
from overture.model import Fact
from overture.model.decay import all_scores, place, read, value_at

T = 1_800_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
HALF = 2 * DAY

DOCUMENT = """\
requires:
  channels: [email]
facts:
  won: {n: number, topic: "string?"}
  reset: {n: number}
scores:
  lead: {decay: {half_life: 2d}}
  interest: {per: topic, decay: {half_life: 12h}}
  capped: {min: 0, max: 10, decay: {half_life: 2d}}
  stays: {}
rules:
  won:
    when: fact.type == "won"
    then:
      - score: {name: lead, add: = fact.n}
      - score: {name: interest, add: = fact.n}
      - score: {name: capped, add: = fact.n}
      - score: {name: stays, add: = fact.n}
  reset:
    when: fact.type == "reset"
    then:
      - score: {name: lead, set: = fact.n}
      - send: {channel: email, template: t, purpose: transactional}
segments:
  hot:
    when: contact.scores.lead >= 8
  cold:
    when: contact.scores.lead < 0.5
  keen:
    when: contact.scores.interest.seo > 3
templates:
  t: {subject: s, text: "{{ contact.scores.lead }}"}
"""
PLAN = plan(DOCUMENT)
HALF_LIVES = PLAN.half_lives
ANY = Fact("", "", "", 0, 0)

Won = tuple[int, int, float, str]  # when it occurred and how much later it was accepted, hours; points; topic
WON = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.sampled_from([0, 0, 0, 5, 100]),
        st.sampled_from([1.0, 3.0, 10.0, 0.1, -2.5]),
        st.sampled_from(["seo", "ads"]),
    ),
    max_size=12,
)


def won(n: int, fact: Won, contact: str = "ada") -> Fact:
    occurred, late, points, topic = fact
    at = T + occurred * HOUR
    return Fact(f"f{n}", "won", contact, at, at + late * HOUR, {"n": points, "topic": topic})


def feed(facts: list[Won], show: Show | None = None) -> Show:
    show = show or Show(PLAN)
    for n, fact in enumerate(sorted(facts, key=lambda f: f[0] + f[1])):
        show.take(won(n, fact, show.contact.id))
    return show


def model(facts: list[Won], at: int, half_life: int, topic: str = "") -> float:
    """Every point that was ever won, each decayed since it was."""
    mine = [f for f in facts if topic in ("", f[3])]
    return sum(f[2] * 2 ** (-(at - (T + f[0] * HOUR)) / half_life) for f in mine)


@settings(max_examples=200)
@given(WON, st.integers(0, 60))
def test_every_point_decays_since_it_was_won(facts: list[Won], later: int) -> None:
    show = feed(facts)
    contact = show.contact
    at = contact.clock + later * DAY // 3
    shown = all_scores(contact, HALF_LIVES, at)
    assert read(contact, "lead", "", at, HALF) == pytest.approx(model(facts, at, HALF), abs=2e-6)
    for topic in {f[3] for f in facts}:
        expected = model(facts, at, 12 * HOUR, topic)
        assert read(contact, "interest", topic, at, 12 * HOUR) == pytest.approx(expected, abs=2e-6)
    if facts:
        assert shown["stays"] == pytest.approx(sum(f[2] for f in facts))
        assert shown["lead"] == read(contact, "lead", "", at, HALF)


@settings(max_examples=100)
@given(WON, st.randoms(use_true_random=False))
def test_the_order_of_acceptance_does_not_matter(facts: list[Won], dice: Any) -> None:
    later = T + 400 * HOUR
    values: list[Any] = []
    for order in (facts, dice.sample(facts, len(facts))):
        show = Show(PLAN)
        for n, (occurred, _, points, topic) in enumerate(order):
            show.take(Fact(f"f{n}", "won", "ada", T + occurred * HOUR, later, {"n": points, "topic": topic}))
        values.append([read(show.contact, "lead", "", later + t * DAY, HALF) for t in range(4)])
    assert values[0] == pytest.approx(values[1], abs=2e-6)


@settings(max_examples=150)
@given(WON.filter(bool))
def test_membership_is_right_at_every_instant(facts: list[Won]) -> None:
    show = feed(facts)
    conditions = {s.name: compile_condition(s.when) for s in PLAN.program.segments if s.when is not None}
    for _ in range(40):
        contact = show.contact
        for name, holds in conditions.items():
            assert (name in contact.segments) == holds(ANY, contact), name
        if not contact.due:
            break
        before = contact.copy()
        before.clock = contact.due - 1  # up to the last millisecond nothing has changed
        for name, holds in conditions.items():
            assert (name in contact.segments) == holds(ANY, before), name
        show.take(Fact(f"tick:{contact.due}", "$tick", "ada", contact.due, contact.due))
    assert not show.contact.due
    probe = show.contact.copy()
    probe.clock += 4000 * DAY
    for name, holds in conditions.items():
        assert (name in probe.segments) == holds(ANY, probe), name


@settings(max_examples=100)
@given(st.lists(WON, min_size=2, max_size=5), st.integers(0, 40))
def test_the_ranking_needs_no_rewriting(crowd: list[list[Won]], later: int) -> None:
    """The places written when facts came tell the scores, and their order, at any instant after."""
    shows = [feed(facts) for facts in crowd]
    at = max([T, *(show.contact.clock for show in shows)]) + later * DAY
    rows: list[tuple[float, float]] = []
    for show in shows:
        places: dict[str, float | None] = {}
        for outcome in show.steps:
            places |= outcome.scores
        place = places.get("lead")
        if place is not None:
            rows.append((place, read(show.contact, "lead", "", at, HALF)))
            assert value_at(place, at, HALF) == pytest.approx(rows[-1][1], abs=2e-6, rel=1e-6)
    values = [value for _, value in sorted(rows)]
    for better, worse in pairwise(values):
        assert better >= worse - 2e-6


def test_effects_tell_what_everybody_reads() -> None:
    show = Show(PLAN)
    show.take(won(1, (0, 0, 10.0, "seo")))
    outcome = show.take(won(2, (48, 0, 1.0, "seo")))
    scores = {e.name: (e.before, e.after) for f in outcome.trace.firings for e in f.effects if e.kind == "score"}
    assert scores == {"lead": (5, 6), "interest": (0.625, 1.625), "capped": (5, 6), "stays": (10, 11)}
    assert outcome.contact.scores["lead"] == 6
    late = show.take(Fact("f3", "won", "ada", T, T + 48 * HOUR, {"n": 2.0, "topic": "ads"}))
    scores = {(e.name, e.key): (e.before, e.after) for f in late.trace.firings for e in f.effects}
    assert scores["lead", ""] == (6, 7)
    assert scores["interest", "ads"] == (0, 0.125)


def test_bounds_hold_when_something_is_added() -> None:
    show = Show(PLAN)
    show.take(won(1, (0, 0, 25.0, "seo")))
    assert read(show.contact, "capped", "", T, HALF) == 10
    assert read(show.contact, "capped", "", T + HALF, HALF) == 5
    show.take(won(2, (48, 0, -90.0, "seo")))
    assert read(show.contact, "capped", "", T + HALF, HALF) == 0


def test_set_is_as_of_the_clock_and_templates_read_what_is_left() -> None:
    show = Show(PLAN)
    show.take(won(1, (0, 0, 25.0, "seo")))
    outcome = show.take(Fact("f2", "reset", "ada", T - DAY, T + DAY, {"n": 40}))
    assert read(outcome.contact, "lead", "", T + DAY, HALF) == 40
    assert outcome.messages[0].context["contact"]["scores"]["lead"] == 40
    assert outcome.messages[0].context["contact"]["scores"]["interest"] == {"seo": 6.25}


def test_what_was_won_too_long_ago_changes_nothing_to_see() -> None:
    show = Show(PLAN)
    show.take(won(1, (0, 0, 10.0, "seo")))
    outcome = show.take(Fact("f2", "won", "ada", T - 4000 * DAY, T + HOUR, {"n": 9.0, "topic": "seo"}))
    assert [e.name for f in outcome.trace.firings for e in f.effects] == ["stays"]


def versions(*decays: str) -> list[Plan]:
    texts = [DOCUMENT.replace("lead: {decay: {half_life: 2d}}", f"lead: {decay}") for decay in decays]
    return [plan(text, version=n) for n, text in enumerate(texts, 1)]


def test_a_score_begins_to_decay_with_the_deploy_and_ends_with_one() -> None:
    still, decaying, again = versions("{}", "{decay: {half_life: 1d}}", "{}")
    show = Show(still)
    show.take(won(1, (0, 0, 16.0, "seo")))
    assert show.steps[-1].scores["lead"] == -16
    show.plan = decaying
    outcome = show.take(Fact("f2", "other", "ada", T + DAY, T + DAY))
    contact = outcome.contact
    assert read(contact, "lead", "", T + 3 * DAY, DAY) == 4
    place = outcome.scores["lead"]
    assert place is not None
    assert value_at(place, T + 3 * DAY, DAY) == pytest.approx(4)
    show.plan = again
    outcome = show.take(Fact("f3", "other", "ada", T + 2 * DAY, T + 2 * DAY))
    assert (outcome.contact.scores["lead"], "lead" in outcome.contact.stamps, outcome.scores["lead"]) == (
        16,
        False,
        -16,
    )


@settings(max_examples=100)
@given(WON, WON)
def test_two_contacts_that_become_one_have_what_one_would(mine: list[Won], theirs: list[Won]) -> None:
    known, visitor = feed(mine), feed(theirs, Show(PLAN, "anonymous_id:x"))
    at = T + 400 * HOUR
    (merge,) = visitor.take(Fact("f$", "$link", "anonymous_id:x", at, at, {"into": "ada"})).forwards
    merged = known.take(merge).contact
    for later in (0, 30):
        t = at + later * HOUR
        assert read(merged, "lead", "", t, HALF) == pytest.approx(model(mine + theirs, t, HALF), abs=4e-6)
        for topic in ("seo", "ads"):
            expected = model(mine + theirs, t, 12 * HOUR, topic)
            assert read(merged, "interest", topic, t, 12 * HOUR) == pytest.approx(expected, abs=4e-6)
    conditions = {s.name: compile_condition(s.when) for s in PLAN.program.segments if s.when is not None}
    for name, holds in conditions.items():
        assert (name in merged.segments) == holds(ANY, merged), name
    assert encode(merged.stamps).count(b"seo") <= 1


@pytest.mark.parametrize("backfill", [False, True])
@pytest.mark.parametrize("ahead", [1, HOUR, 24 * HOUR])
def test_a_clock_that_is_ahead_earns_no_more(ahead: int, backfill: bool) -> None:
    """A phone may say up to a day too late an hour: what it earns counts from when it was accepted."""
    show = Show(PLAN)
    step = show.take(Fact("f0", "won", "ada", T + ahead, T, {"n": 10, "topic": "seo"}, backfill=backfill))
    assert show.contact.clock == T
    assert step.scores["lead"] == place(10, T, HALF)
    assert all_scores(show.contact, HALF_LIVES, T) == {"lead": 10, "interest": {"seo": 10}, "capped": 10, "stays": 10}


def test_a_score_of_the_first_instant_decays_too() -> None:
    show = Show(PLAN)
    show.take(Fact("f1", "won", "ada", 0, 0, {"n": 8, "topic": "seo"}))
    assert (read(show.contact, "lead", "", HALF, HALF), read(show.contact, "interest", "seo", DAY, 12 * HOUR)) == (4, 2)
