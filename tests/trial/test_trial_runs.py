"""What a test says is what the step does; and where it does not hold, what is there instead is told."""

from __future__ import annotations

import pytest
from trialkit import LIBRARY, SHOP, email_of, outcome, tried

from overture.rules import load
from overture.trial.reading import inspect, inspect_tests
from overture.trial.results import Failure, Result
from overture.trial.suite import run

CONSENT = "    contact: {email: ada@example.com, first_name: Ada, consent: {email: {marketing: granted}}}\n"
BUY = "- fact: {type: bought, order_id: o1, total: 12.5}\n"
VIEW = "- fact: {type: viewed, path: /, topic: seo}\n"


def alone(text: str) -> Result:
    """The tests in a ruleset that needs no other."""
    ruleset, trials, found = inspect(text)
    assert found == []
    assert ruleset is not None
    return run(ruleset, trials, {ruleset.name: ruleset}, {"email": email_of})


def failures(steps: str, head: str = "") -> list[tuple[str, str, str]]:
    return [(f.what, f.expected, f.found) for f in outcome(steps, head).failures]


HOLDS = [
    VIEW + "- expect: {scores: {lead: 10, interest: {seo: 1, ads: 0}}}",
    BUY + "- expect: {scores: {spend: 12.5}, traits: {tier: gold, first_name: null}}",
    BUY + "- expect: {lists: {news: false}, segments: {hot: false, loyal: false}}",
    BUY + "- expect: {facts: {thanked: [{total: 12.5}]}, issued: {voucher: [{percent: 25}]}}",
    BUY + "- expect: {facts: {thanked: 1}, issued: {voucher: 1}}",
    BUY + "- expect: {suppressed: {news: consent.missing, receipt: address.missing, bought: null}}",
    BUY + "- expect: {facts: {thanked: 1}}\n- expect: {facts: {thanked: 0}, issued: {voucher: []}, sent: []}",
    BUY + BUY + "- expect: {issued: {voucher: 1}, suppressed: {bought: once_per.key}}",
    VIEW + "- expect: {error: null, sent: []}",
    "- advance: 30d\n- expect: {scores: {lead: 0}}",
]


@pytest.mark.parametrize("steps", HOLDS)
def test_what_holds(steps: str) -> None:
    assert failures(steps) == []


FAILS = [
    (VIEW + "- expect: {scores: {lead: 15}}", ("scores.lead", "15", "10")),
    (VIEW + "- expect: {scores: {interest: {ads: 1}}}", ("scores.interest.ads", "1", "0")),
    (BUY + "- expect: {traits: {tier: null}}", ("traits.tier", "null", '"gold"')),
    (VIEW + "- expect: {traits: {tier: gold}}", ("traits.tier", '"gold"', "null")),
    (BUY + "- expect: {segments: {loyal: true}}", ("segments.loyal", "true", "false")),
    (BUY + "- expect: {lists: {news: true}}", ("lists.news", "true", "false")),
    (BUY + "- expect: {facts: {thanked: 0}}", ("facts.thanked", "0", "1")),
    (BUY + "- expect: {facts: {thanked: [{total: 12}]}}", ("facts.thanked", '[{"total": 12}]', '[{"total": 12.5}]')),
    (BUY + "- expect: {issued: {voucher: 2}}", ("issued.voucher", "2", "1")),
    (BUY + "- expect: {suppressed: {news: null}}", ("suppressed.news", "null", '"consent.missing"')),
    (
        BUY + "- expect: {suppressed: {news: consent.denied}}",
        ("suppressed.news", '"consent.denied"', '"consent.missing"'),
    ),
    (VIEW + "- expect: {suppressed: {viewed: once_per.key}}", ("suppressed.viewed", '"once_per.key"', "null")),
    (VIEW + "- expect: {error: chain.too_deep}", ("error", '"chain.too_deep"', "null")),
]


@pytest.mark.parametrize(("steps", "failure"), FAILS)
def test_what_fails_says_what_is_there(steps: str, failure: tuple[str, str, str]) -> None:
    assert failures(steps) == [failure]


def test_a_failure_has_its_place_and_what_happened() -> None:
    ran = outcome(
        "- fact: {type: viewed, path: /a}\n" + VIEW + "- expect:\n    scores:\n      lead: 15\n- expect: {sent: []}"
    )
    assert (ran.passed, ran.line, ran.column, ran.steps) == (False, 2, 11, 3)
    assert ran.failures == [Failure(8, 19, "scores.lead", "15", "10")]
    assert ran.happened == [
        'viewed {"path": "/a"}',
        'viewed {"path": "/", "topic": "seo"}',
        "  shop/viewed: score lead 0 → 10, score interest[seo] 0 → 1",
    ]


def test_all_that_fails_in_one_expect_is_told_and_nothing_after_it() -> None:
    steps = BUY + "- expect: {scores: {spend: 1}, facts: {thanked: 0}, lists: {news: false}}\n" + BUY
    ran = outcome(steps + "- expect: {scores: {spend: 2}}")
    assert [f.what for f in ran.failures] == ["scores.spend", "facts.thanked"]
    assert ran.steps == 2


def test_a_segment_shows_what_its_condition_read() -> None:
    (failure,) = outcome(VIEW + "- expect: {segments: {hot: true}}").failures
    assert failure.values == [
        "contact.scores.lead >= 20: false (contact.scores.lead = 10)",
        'contact.tier == "gold": false (contact.tier = null)',
    ]


# --- messages -----------------------------------------------------------------------------------------------------


def test_what_is_sent_passed_the_gate_and_is_rendered() -> None:
    steps = BUY + (
        "- expect: {sent: [{channel: email, template: receipt, purpose: transactional, to: ada@example.com,"
        " rule: shop/bought, subject: Order o1, text: You paid 12.5}]}\n"
    )
    assert failures(steps, CONSENT) == []
    steps = steps.replace("paid 12.5", "paid 13").replace("Order o1", "Order o2")
    ((what, _, found),) = failures(steps, CONSENT)
    assert what == "sent"
    assert '"subject": "Order o1"' in found
    assert "Thank you." in found


def test_sent_is_exactly_what_was_sent_since_the_last_expect() -> None:
    second = "- fact: {type: bought, order_id: o2, total: 3}\n"
    one = "- expect: {sent: [{subject: Order %s}]}\n"
    assert failures(BUY + one % "o1" + second + one % "o2", CONSENT) == []
    assert failures(BUY + second + one % "o1", CONSENT) != []
    assert failures(BUY + second + "- expect: {sent: [{subject: Order o2}, {subject: Order o1}]}", CONSENT) != []
    assert failures(BUY + "- expect: {scores: {spend: 12.5}}\n- expect: {sent: []}", CONSENT) == []
    assert failures(BUY + "- expect: {sent: []}", CONSENT) == [
        ("sent", "[]", '[{"channel": "email", "template": "receipt"}]')
    ]


def test_a_message_that_cannot_be_rendered_is_not_sent() -> None:
    hot = VIEW + VIEW + "- fact: {type: identify, tier: gold}\n"
    told = hot + "- expect: {segments: {hot: true}, sent: [], suppressed: {hello: %s}}"
    nameless = CONSENT.replace("first_name: Ada, ", "")
    assert failures(told % "template.missing_variable", nameless) == []
    assert failures(told % "template.missing_variable", CONSENT) != []
    assert failures(told % "consent.missing", "    contact: {email: ada@example.com}\n") == []


def test_history_sends_nothing() -> None:
    steps = (
        "- fact: {type: bought, order_id: o1, total: 3, occurred_at: 2020-01-01T00:00:00Z}\n  backfill: true\n"
        "- expect: {scores: {spend: 3}, sent: [], suppressed: {receipt: backfill},"
        " traits: {bought_at: 2020-01-01T00:00:00Z}}"
    )
    assert failures(steps, CONSENT) == []


# --- what is known before -----------------------------------------------------------------------------------------


def test_what_is_given_is_there_and_set_nothing_off() -> None:
    head = CONSENT.replace("first_name", "tier: gold, first_name")
    steps = "- expect: {traits: {tier: gold, email: ada@example.com}, facts: {thanked: 0}, sent: []}\n"
    assert failures(steps + VIEW + VIEW + "- expect: {segments: {hot: true}, sent: [{subject: Hello Ada}]}", head) == []


def test_who_is_given_was_in_the_segment_before_and_who_is_new_enters() -> None:
    text = """\
apiVersion: overture/v1
kind: Ruleset
name: greet
requires: {{channels: [email]}}
traits: {{tier: "string?"}}
segments:
  gold: {{when: contact.tier == "gold", on_enter: [{{send: {{channel: email, template: t, purpose: transactional}}}}]}}
templates: {{t: {{subject: s, text: b}}}}
tests:
  - name: t
    {contact}
    steps:
      - fact: {{type: identify, {email}tier: gold}}
      - expect: {{segments: {{gold: true}}, sent: {sent}}}
"""
    cases = {
        ("contact: {tier: gold, email: a@b.c}", "", "[]"): True,
        ("contact: {email: a@b.c}", "", "[{template: t}]"): True,
        ("at: 2026-01-01T00:00:00Z", "email: a@b.c, ", "[{template: t}]"): True,
    }
    for (contact, email, sent), passed in cases.items():
        result = alone(text.format(contact=contact, email=email, sent=sent))
        assert result.passed is passed, (contact, result.tests)


def test_facts_with_an_id_count_once_and_codes_follow_from_it() -> None:
    fact = "- fact: {type: viewed, path: /, id: f1}\n"
    assert failures(fact + fact + "- expect: {scores: {lead: 10}}") == []
    assert failures(VIEW + VIEW + "- expect: {scores: {lead: 20}}") == []


def test_outcomes_of_messages_may_be_stated() -> None:
    bounced = (
        "- fact: {type: message.bounced, message: m1, channel: email, template: receipt, attempts: 1,"
        " address: ada@example.com, permanent: true}\n"
    )
    assert failures(bounced + BUY + "- expect: {sent: [], suppressed: {receipt: suppressed.bounce}}", CONSENT) == []


# --- several rulesets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ruleset", "head", "fact", "lead"),
    [
        ("shop", "", "looped, n: 3", 1),  # it requires the score, so the rules of `points` run with it
        ("points", "", "unwound, n: 3", 1),
        ("points", "    rulesets: [shop]\n", "viewed, path: /", 10),
    ],
)
def test_what_a_ruleset_requires_runs_with_it_and_what_a_test_names(ruleset: str, head: str, fact: str, lead: int):
    steps = f"[{{fact: {{type: {fact}}}}}, {{expect: {{scores: {{lead: {lead}}}}}}}]"
    result, found = tried(f"tests:\n  - name: t\n{head}    steps: {steps}\n", ruleset)
    assert found == []
    assert result is not None
    assert result.passed


def test_what_is_neither_required_nor_named_is_not_there() -> None:
    steps = "[{fact: {type: viewed, path: /}}, {expect: {scores: {lead: 10}}}]"
    _, found = tried(f"tests:\n  - name: t\n    steps: {steps}\n", "points")
    assert [d.code for d in found] == ["fact.unknown"]


def test_coverage_names_what_never_happened() -> None:
    result, _ = tried(
        "tests:\n  - name: t\n    steps: [{fact: {type: viewed, path: /}}, {expect: {scores: {lead: 10}}}]\n"
    )
    assert result is not None
    coverage = result.coverage
    # Nothing takes a contact out of `loyal`, so there is no such way.
    assert (coverage.points, coverage.never) == (
        7,
        [
            "rule bought",
            "rule thanked",
            "rule looped",
            "segment hot entered",
            "segment hot left",
            "segment loyal entered",
        ],
    )


def test_a_rule_that_was_held_back_has_fired_before() -> None:
    twice = (
        "tests:\n  - name: t\n    steps:\n      "
        + (BUY.strip() + "\n      ") * 2
        + "- expect: {issued: {voucher: 1}}\n"
    )
    result, _ = tried(twice)
    assert result is not None
    assert "rule bought" not in result.coverage.never


def test_what_needs_approval_stays_held_until_it_is_too_late() -> None:
    asking = load(SHOP.replace("purpose: transactional}", "purpose: transactional, approval: required, late: 1d}"))
    steps = (
        BUY.strip(),
        "- expect: {sent: [], held: {receipt: approval.pending}, suppressed: {receipt: null}}",
        "- advance: 25h",
        "- expect: {sent: [], held: {receipt: null}, suppressed: {receipt: late.expired}}",
    )
    lines = "".join(f"      {line}\n" for line in steps)
    trials, findings = inspect_tests(f"tests:\n  - name: t\n    steps:\n{lines}")
    assert findings == []
    result = run(asking, trials, {**LIBRARY, "shop": asking}, {})
    assert [failure for test in result.tests for failure in test.failures] == []
    assert len(result.tests) == 1


DEEP = """\
apiVersion: overture/v1
kind: Ruleset
name: deep
facts: {{{facts}}}
scores: {{n: {{}}}}
rules:
{rules}
tests:
  - name: t
    steps:
      - fact: {{type: f0}}
{last}
"""


def test_a_step_that_is_rolled_back_fails_the_test_unless_that_is_expected() -> None:
    facts = ", ".join(f"f{n}: {{}}" for n in range(20))
    rules = "\n".join(
        f"  r{n}: {{when: fact.type == 'f{n}', then: [{{score: {{name: n, add: 1}}}}, {{assert: {{type: f{n + 1}}}}}]}}"
        for n in range(19)
    )
    told: list[tuple[bool, list[str]]] = []
    for last in (
        "      - expect: {error: chain.too_deep, scores: {n: 0}}",
        "      - expect: {scores: {n: 0}}",
        "      - expect: {error: null}",
        "      - expect: {error: chain.too_deep}\n      - fact: {type: f0}",
    ):
        (ran,) = alone(DEEP.format(facts=facts, rules=rules, last=last)).tests
        told.append((ran.passed, [failure.what for failure in ran.failures]))
    assert told == [(True, []), (False, ["error"]), (False, ["error"]), (False, ["error"])]
