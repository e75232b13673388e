"""A test says what a model has learned; without that, nothing has been."""

from __future__ import annotations

from overture.rules import load
from overture.trial.reading import inspect
from overture.trial.suite import run

SHOP = """
apiVersion: overture/v1
kind: Ruleset
name: shop
facts: {visited: {}, basket: {}, bought: {}}
scores: {likely: {}}
models:
  buys: {predict: fact.type == "bought", within: 7d, features: {baskets: 'count("basket", within="30d")'}}
rules:
  score: {when: fact.type == "visited", then: [{score: {name: likely, by: buys}}]}
segments:
  about-to-buy: {when: contact.scores.likely >= 0.5}
tests:
  - name: whoever fills baskets is about to buy
    learned: {buys: {intercept: -1, weights: {baskets: 1.5}}}
    steps:
      - fact: {type: visited}
      - expect: {segments: {about-to-buy: false}}
      - fact: {type: basket}
      - fact: {type: visited}
      - expect: {scores: {likely: 0.622459}, segments: {about-to-buy: true}}
  - name: before that nothing is said
    steps:
      - fact: {type: visited}
      - expect: {suppressed: {buys: model.nothing_learned}}
"""


def told(text: str) -> list[str]:
    ruleset, trials, findings = inspect(text)
    assert ruleset is not None, findings
    result = run(ruleset, trials, {"shop": load(text)}, {})
    return [*(f.code for f in result.findings), *(f"{o.name}: {o.failures}" for o in result.tests if not o.passed)]


def test_a_test_says_what_was_learned() -> None:
    assert told(SHOP) == []
    assert told(SHOP.replace("learned: {buys", "learned: {buy")) == ["test.unknown"]
    (failed,) = told(SHOP.replace("baskets: 1.5", "baskets: 0.5"))
    assert failed.startswith("whoever fills baskets is about to buy")
