# ruff: noqa: E501 - one case is one row of a table
"""Journeys and sending as they are written → as they are meant; what conditions in them see, and how they differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from overture.match import compile_condition
from overture.model import Contact, Fact
from overture.rules import inspect, link, load
from overture.rules.difference import Change, difference
from overture.rules.journey import END, Branch, Do, JourneyStep, LocalTime, Split, Wait, Way
from overture.rules.ruleset import Ruleset, SendAction, StartAction, StopAction
from overture.rules.sending import Cap, Quiet
from overture.rules.spelling import spell
from overture.rules.tree import NOWHERE, Decaying

HOUR, DAY = 3_600_000, 86_400_000

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
requires: {channels: [email, sms]}
facts:
  cart_updated: {cart: string, total: number, "until": "datetime?"}
  cart_opened: {cart: string}
  checkout: {cart: string}
scores: {lead: {}, heat: {decay: {half_life: 7d}}}
sending:
  channels: {email: [image, html], sms: []}
  quiet_hours: [{from: "21:00", to: "08:30", purposes: [lifecycle]}]
  caps: [{max: 1, within: today, purposes: [lifecycle]}, {max: 9, within: 30d}]
holdout: 10
rules:
  open: {when: fact.type == "cart_opened", then: [{start: cart}]}
  quit: {when: fact.type == "checkout", then: [{stop: other}]}
journeys:
  cart:
    description: The cart.
    enter_when: fact.type == "cart_updated" and fact.total > 10
    key: fact.cart
    reentry: {after: 30d}
    restart_when: fact.type == "cart_updated" and fact.cart == journey.key
    exit_when: contact.scores.heat < 1
    goal: fact.type == "checkout" and fact.cart == journey.key
    on_redeploy: migrate
    steps:
      - {id: hour, wait: {for: 24h}}
      - {id: days, wait: {for: 2w, until: fact.type == "checkout"}}
      - {id: at, wait: {at: = journey.fact.until - days("1d"), until: journey.fact.total > 99}}
      - {id: local, wait: {until_local: "09:30", on: [mon, sun]}}
      - {id: mail, send: {template: t, purpose: news, needs: image, priority: 3, late: 24h, if_held: expire, approval: required}}
      - {id: two, do: [{score: {name: lead, add: 1}}, {start: other}], then: ways}
      - {id: choose, branch: [{if: wait.matched, go: hour}, {else: on}]}
      - {id: ways, split: [{name: a, weight: 3, go: choose}, {name: b, weight: 1, go: back}]}
      - {id: back, go: days}
      - {id: on, branch: [{if: contact.scores.lead > 3, go: end}]}
      - {id: last, score: {name: lead, add: 1}}
  other:
    enter_when: null
    steps: [{id: only, wait: {for: 1d}}]
templates:
  t: {subject: s, text: "{{ journey.key }} {{ journey.fact.id | default('x') }} {{ journey.fact.total | default(0) }}"}
"""


def shop(*changes: tuple[str, str]) -> Ruleset:
    text = SHOP
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    ruleset, findings = inspect(text)
    assert ruleset is not None, findings
    return ruleset


def bare(step: JourneyStep) -> JourneyStep:
    return replace(step, place=NOWHERE)


def test_a_journey_means_what_it_says() -> None:
    cart = shop().journeys["cart"]
    assert (cart.id, cart.first, cart.reentry, cart.reentry_ms) == ("shop/cart", "hour", "after", 30 * DAY)
    assert cart.on_redeploy == "migrate"
    assert cart.enter_types == {"cart_updated"}
    assert [node and spell(node) for node in (cart.key, cart.exit_when)] == ["fact.cart", "contact.scores.heat < 1"]
    assert cart.keeps == {"until", "id", "total"}, "what expressions and the templates that it sends read"
    assert list(cart.steps) == ["hour", "days", "at", "local", "mail", "two", "choose", "ways", "back", "on", "last"]
    other = shop().journeys["other"]
    assert (other.enter_when, other.reentry, other.on_redeploy, other.key) == (None, "never", "finish_on_old", None)


def test_each_step_means_what_it_says() -> None:
    steps = shop().journeys["cart"].steps
    assert bare(steps["hour"]) == Wait("hour", "days", for_ms=24 * HOUR), "exact: it is not written in days"
    days, at = steps["days"], steps["at"]
    assert isinstance(days, Wait)
    assert (days.days, days.for_ms, days.next) == (14, 0, "at")
    assert days.until is not None
    assert isinstance(at, Wait)
    assert at.at is not None
    assert spell(at.at) == "journey.fact.until - 86400000"
    assert bare(steps["local"]) == Wait("local", "mail", local=LocalTime(9 * 60 + 30, frozenset((1, 7))))
    send = SendAction("", "t", "news", "", frozenset({"image"}), 3, 24 * HOUR, True, True)
    assert bare(steps["mail"]) == Do("mail", (send,), "two")
    two, choose = steps["two"], steps["choose"]
    assert isinstance(two, Do)
    assert (two.then[1], two.next) == (StartAction("other"), "ways")
    assert isinstance(choose, Branch)
    assert ([to for _, to in choose.cases], choose.otherwise) == (["hour"], "on")
    assert bare(steps["ways"]) == Split("ways", (Way("a", 3, "choose"), Way("b", 1, "back")))
    assert bare(steps["back"]) == Do("back", (), "days")
    on, last = steps["on"], steps["last"]
    assert isinstance(on, Branch)
    assert on.otherwise == "last", "without else it goes on"
    assert isinstance(last, Do)
    assert last.next == END


def test_what_else_a_document_says() -> None:
    ruleset = shop()
    assert ruleset.sending is not None
    assert list(ruleset.sending.channels.items()) == [("email", {"image", "html"}), ("sms", frozenset())]
    lifecycle = frozenset({"lifecycle"})
    assert ruleset.sending.quiet == (Quiet(21 * 60, 8 * 60 + 30, lifecycle),)
    assert ruleset.sending.caps == (Cap(1, lifecycle, calendar="day"), Cap(9, frozenset(), ms=30 * DAY))
    assert ruleset.holdout == 10
    assert [rule.then for rule in ruleset.rules] == [(StartAction("cart"),), (StopAction("other"),)]


def test_the_program_has_what_journeys_read() -> None:
    program = link(
        [shop(("contact.scores.heat < 1", 'count("checkout", within="7d") > 2 and contact.scores.heat < 1'))], 1
    )
    cart = program.journeys["shop/cart"]
    assert {"cart_updated", "checkout"} <= program.types
    assert [decl.key.type for decl in program.series.values()] == ["checkout"]
    assert cart.exit_when is not None
    assert "Decaying" in repr(cart.exit_when)
    assert Decaying.__name__ not in repr(program.rulesets["shop"].journeys["cart"].exit_when)


SHOWN: dict[str, Any] = {
    "$journey": {"key": "c1", "entered_at": 5, "fact": {"total": 7, "address": {"city": "Graz"}}},
    "$wait": {"matched": True},
}
SEEN = {
    "wait.matched": True,
    'journey.key == "c1"': True,
    "journey.entered_at < 6": True,
    "journey.fact.total == fact.total": False,
    "journey.fact.total + 1 == fact.total": True,
    'journey.fact.address.city == "Graz"': True,
    'journey.fact.missing != "x"': False,
    'journey.key in ["c1", "c2"]': True,
    "has(journey.fact.missing)": False,
}


@pytest.mark.parametrize("text", SEEN)
def test_what_conditions_of_a_journey_see(text: str) -> None:
    facts = "  cart_opened: {cart: string}"
    more = '  cart_opened: {cart: string, address: object, missing: "string?", total: number}'
    said = (
        text.replace("fact.total", "fact.total") if "== fact" not in text else f'fact.type == "cart_updated" and {text}'
    )
    ruleset = shop((facts, more), ("contact.scores.heat < 1", f"'{said}'"))
    when = ruleset.journeys["cart"].exit_when
    assert when is not None
    fact = Fact("f", "cart_updated", "ada", 1, 1, {"total": 8}, SHOWN)
    assert compile_condition(when)(fact, Contact("ada")) is SEEN[text]
    assert compile_condition(when)(Fact("f", "cart_updated", "ada", 1, 1, {"total": 8}), Contact("ada")) is False, (
        "known in a journey only"
    )


CASES: dict[str, tuple[str, str, str, str, str, Any, Any]] = {
    "holdout": ("holdout: 10", "holdout: 20", "holdout", "", "percent", 10, 20),
    "quiet hours": ("08:30", "08:00", "sending", "", "quiet_hours",
        [{"from": "21:00", "to": "08:30", "purposes": ["lifecycle"]}], [{"from": "21:00", "to": "08:00", "purposes": ["lifecycle"]}]),
    "caps": ("within: today", "within: this week", "sending", "", "caps",
        [{"max": 1, "within": "today", "purposes": ["lifecycle"]}, {"max": 9, "within": "30d"}],
        [{"max": 1, "within": "this week", "purposes": ["lifecycle"]}, {"max": 9, "within": "30d"}]),
    "order of channels": ("{email: [image, html], sms: []}", "{sms: [], email: [html, image]}", "sending", "", "channels",
        [{"email": ["html", "image"]}, {"sms": []}], [{"sms": []}, {"email": ["html", "image"]}]),
    "reentry": ("{after: 30d}", "always", "journeys", "cart", "reentry", {"after": "30d"}, "always"),
    "goal": ('goal: fact.type == "checkout" and fact.cart == journey.key', 'goal: fact.type == "checkout"', "journeys", "cart", "goal",
        'fact.type == "checkout" and fact.cart == journey.key', 'fact.type == "checkout"'),
    "on_redeploy": ("on_redeploy: migrate", "on_redeploy: exit", "journeys", "cart", "on_redeploy", "migrate", "exit"),
    "a wait": ("{id: only, wait: {for: 1d}}", "{id: only, wait: {for: 24h}}", "journeys", "other", "steps",
        [{"id": "only", "wait": {"for": "1d"}, "then": "end"}], [{"id": "only", "wait": {"for": "24h"}, "then": "end"}]),
    "a start": ("{start: cart}", "{stop: cart}", "rules", "open", "then", [{"start": "cart"}], [{"stop": "cart"}]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_difference(case: str) -> None:
    old, new, *expected = CASES[case]
    assert difference(shop(), shop((old, new))) == [Change("changed", *expected)]


STEPS = {
    "for: 2w": "for: 13d",
    'days("1d")': 'days("2d")',
    "on: [mon, sun]": "on: [mon]",
    '"09:30"': '"10:30"',
    "needs: image, ": "",
    "priority: 3": "priority: 4",
    "late: 24h": "late: 25h",
    "if_held: expire": "if_held: defer",
    ", approval: required": "",
    "weight: 3": "weight: 4",
    "{id: back, go: days}": "{id: back, go: hour}",
    "if: wait.matched": "if: not wait.matched",
    "then: ways": "then: choose",
}


@pytest.mark.parametrize("old", STEPS)
def test_whatever_a_step_says_differently_is_told(old: str) -> None:
    (change,) = difference(shop(), shop((old, STEPS[old])))
    assert (change.section, change.name, change.facet) == ("journeys", "cart", "steps")


def test_what_only_looks_different_means_the_same() -> None:
    same = [
        ("{id: back, go: days}", "{id: back, do: [], then: days}"),
        ("for: 2w", "for: 14d"),
        ("    description: The cart.\n", ""),
    ]
    assert difference(shop(), shop(*same)) == []


def test_the_document_can_be_loaded_and_linked() -> None:
    assert link([load(SHOP)], 1).journeys.keys() == {"shop/cart", "shop/other"}


WEEKLY = """\
apiVersion: overture/v1
kind: Ruleset
name: a
requires: {channels: [email]}
facts: {begin: {}, paid: {}}
traits: {plan: "string?"}
templates: {t: {subject: s, text: t}}
journeys:
  weekly:
    enter_when: fact.type == "begin"
    exit_when: fact.type == "paid"
    steps:
      - {id: week, wait: {for: 1w, until: contact.plan == "pro"}}
      - {id: left, branch: [{if: WHEN, go: end}]}
      - {id: mail, send: {channel: email, template: t, purpose: news}, then: week}
"""


@pytest.mark.parametrize(
    ("condition", "spins"),
    [("wait.matched", False), ('contact.plan == "pro"', False), ('contact.plan == "free"', True)],
)
def test_a_circle_with_a_wait_that_may_be_over_at_once_has_a_way_out_for_those(condition: str, spins: bool) -> None:
    _, findings = inspect(WEEKLY.replace("WHEN", condition))
    assert [finding.code for finding in findings] == ["journey.spins"] * spins
