"""The clock of a test: what becomes due on the way happens at its own instant, however far the clock is advanced."""

from __future__ import annotations

import pytest
from trialkit import email_of

from overture.trial.reading import inspect
from overture.trial.results import Outcome
from overture.trial.suite import run

CARTS = """\
apiVersion: overture/v1
kind: Ruleset
name: carts
requires: {channels: [email]}
facts:
  cart.updated: {cart_id: string}
  cart.lost: {at: datetime}
scores:
  heat: {decay: {half_life: 1d}}
segments:
  cart:
    when: seen("cart.updated", within="this week")
    on_leave:
      - assert: {type: cart.lost, properties: {at: = now()}}
      - send: {channel: email, template: lost, purpose: transactional}
  hot: {when: contact.scores.heat >= 5}
rules:
  filled: {when: fact.type == "cart.updated", then: [{score: {name: heat, add: 20}}]}
templates: {lost: {subject: Your cart, text: It was emptied.}}
"""
BERLIN = "    contact: {email: ada@example.com, timezone: Europe/Berlin}\n"
FILL = "- fact: {type: cart.updated, cart_id: c1}\n"


def outcome(steps: str, head: str = BERLIN, at: str = "2026-03-27T10:00:00+01:00") -> Outcome:
    lines = "".join(f"      {line}\n" for line in steps.strip().splitlines())
    ruleset, trials, found = inspect(f"{CARTS}tests:\n  - name: t\n    at: {at}\n{head}    steps:\n{lines}")
    assert found == []
    assert ruleset is not None
    (only,) = run(ruleset, trials, {ruleset.name: ruleset}, {"email": email_of}).tests
    return only


def test_a_week_ends_on_monday_in_the_zone_of_the_contact() -> None:
    # 2026-03-29 is the day on which Berlin goes to summer time.
    steps = FILL + (
        "- advance: {to: 2026-03-29T23:59:59+02:00}\n"
        "- expect: {segments: {cart: true}, facts: {cart.lost: 0}, sent: []}\n"
        "- advance: 1s\n"
        "- expect: {segments: {cart: false}, facts: {cart.lost: 1}, sent: [{template: lost}]}\n"
    )
    assert outcome(steps).failures == []
    there = BERLIN.replace("Europe/Berlin", "America/New_York")
    assert [f.what for f in outcome(steps, there).failures] == ["segments.cart", "facts.cart.lost", "sent"]


@pytest.mark.parametrize(
    "way", ["- advance: 10d\n", "- advance: 1d\n" * 10, "- advance: {to: 2026-04-06T10:00:00+02:00}\n"]
)
def test_what_was_due_on_the_way_happened_at_its_own_instant(way: str) -> None:
    expect = "- expect: {facts: {cart.lost: [{at: 2026-03-30T00:00:00+02:00}]}, sent: [{template: lost}]}"
    assert outcome(FILL + way + expect).failures == []


def test_also_where_a_fact_comes_before_anybody_looked() -> None:
    steps = (
        FILL + "- advance: 2d\n" + FILL + "- advance: 5d\n- expect: {facts: {cart.lost: 1}, segments: {cart: false}}"
    )
    assert outcome(steps).failures == []


def test_a_score_decays_under_the_clock() -> None:
    steps = FILL + (
        "- expect: {scores: {heat: 20}, segments: {hot: true}}\n"
        "- advance: 12h\n- expect: {scores: {heat: 14.142136}}\n"
        "- advance: 12h\n- expect: {scores: {heat: 10}}\n"
        "- advance: 1d\n- expect: {scores: {heat: 5}, segments: {hot: true}}\n"
        "- advance: 1s\n- expect: {segments: {hot: false}}\n"
        "- advance: 1d\n- expect: {scores: {heat: 2.49998}}"
    )
    assert outcome(steps).failures == []


def test_what_happened_by_time_alone_is_told_with_its_instant() -> None:
    ran = outcome(FILL + "- expect: {segments: {cart: true}}\n- advance: 7d\n- expect: {sent: []}")
    assert [f.what for f in ran.failures] == ["sent"]
    assert "2026-03-29T22:00:00.000Z" in ran.happened
    assert any(line.startswith("  carts/cart.on_leave: segment cart left, assert cart.lost") for line in ran.happened)


def test_what_was_known_before_waits_for_its_time_too() -> None:
    assert (
        outcome("- advance: 30d\n- expect: {segments: {cart: false, hot: false}, facts: {cart.lost: 0}}").failures == []
    )
