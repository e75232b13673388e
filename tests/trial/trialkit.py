"""One small program that has everything an expectation can be about, and tests run with it."""

from __future__ import annotations

from overture.model import Contact, Diagnostic
from overture.rules import load
from overture.trial.reading import inspect_tests
from overture.trial.results import Outcome, Result
from overture.trial.suite import run

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
requires: {channels: [email], scores: [lead]}
facts:
  viewed: {path: string, topic: "string?", n: "int?"}
  bought: {order_id: string, total: number}
  thanked: {total: number}
  looped: {n: number}
traits: {tier: "string?", first_name: "string?", bought_at: "datetime?"}
scores: {interest: {per: topic}, spend: {}}
lists: {news: {channel: email, purpose: marketing}}
segments:
  hot:
    when: contact.scores.lead >= 20 and contact.tier == "gold"
    on_enter: [{send: {channel: email, template: hello, purpose: marketing}}]
  loyal: {}
rules:
  viewed:
    when: fact.type == "viewed" and fact.path == "/"
    then: [{score: {name: lead, add: 10}}, {score: {name: interest, add: 1}}]
  bought:
    when: fact.type == "bought"
    once_per: fact.order_id
    then:
      - score: {name: spend, add: = fact.total}
      - set: {tier: gold, bought_at: = fact.occurred_at}
      - list: {add: news}
      - issue: {kind: voucher, percent: 25}
      - assert: {type: thanked, properties: {total: = fact.total}}
      - send: {channel: email, template: receipt, purpose: transactional}
  thanked:
    when: fact.type == "thanked" and fact.total > 100
    then: [{segment: {enter: loyal}}]
  looped:
    when: fact.type == "looped"
    then: [{assert: {type: unwound, properties: {n: = fact.n - 1}}}]
templates:
  hello: {subject: "Hello {{ contact.first_name }}", text: Come in.}
  receipt: {subject: "Order {{ fact.order_id }}", text: "You paid {{ fact.total }}.\\nThank you."}
"""
SHOP = SHOP.replace("  looped: {n: number}\n", "  looped: {n: number}\n  unwound: {n: number}\n")
POINTS = """\
apiVersion: overture/v1
kind: Ruleset
name: points
facts:
  unwound: {n: number}
  looped: {n: number}
scores: {lead: {}}
rules:
  unwound:
    when: fact.type == "unwound" and fact.n > 0
    then: [{score: {name: lead, add: 1}}]
"""
LIBRARY = {ruleset.name: ruleset for ruleset in (load(SHOP), load(POINTS))}


def email_of(contact: Contact) -> str | None:
    return contact.traits.get("email")


def tried(text: str, ruleset: str = "shop") -> tuple[Result | None, list[Diagnostic]]:
    """The result of a test document, None where it cannot be read; and every finding about it."""
    trials, findings = inspect_tests(text)
    if any(finding.severity == "error" for finding in findings):
        return None, findings
    result = run(LIBRARY[ruleset], trials, LIBRARY, {"email": email_of})
    return result, [*findings, *result.findings]


def outcome(steps: str, head: str = "") -> Outcome:
    """What came of one test of these steps, each on a line; ``head`` has its other keys."""
    lines = "".join(f"      {line}\n" for line in steps.strip().splitlines())
    result, findings = tried(f"tests:\n  - name: t\n{head}    steps:\n{lines}")
    assert findings == []
    assert result is not None
    (only,) = result.tests
    return only
