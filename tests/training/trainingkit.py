"""A shop whose customers buy by habit: who bought often lately will buy again, a bit more often on Fridays' mail."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from overture.model.clock import to_text

DAY = 86_400_000
START = 1_767_571_200_000  # Monday, 2026-01-05
WEEKS = 24

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
facts: {bought: {total: number, item: "string?"}, week_began: {}}
traits: {country: "string?"}
scores: {soon: {}}
models:
  buys:
    kind: batch
    predict: fact.type == "bought"
    within: 7d
    features:
      n7: count("bought", within="7d")
      n28: count("bought", within="28d")
      spent: total("bought", "total", within="28d")
      days: age(last("bought")) / days("1d")
      country: contact.country
rules:
  score:
    when: fact.type == "week_began"
    then: [{score: {name: soon, by: buys}}]
"""


def posted(contacts: int = 60, seed: int = 1, weeks: int = WEEKS) -> list[dict[str, Any]]:
    """Oldest first."""
    r = random.Random(seed)
    found: list[dict[str, Any]] = []
    for n in range(contacts):
        habit, country = r.choice([0.02, 0.05, 0.15, 0.3]), r.choice(["DE", "FR", ""])
        ids: dict[str, Any] = {"contact": f"c{n}"}
        if country:
            found.append(_fact(ids, START, "identify", f"i{n}", country=country))
        for day in range(weeks * 7):
            if day % 7 == 0:
                found.append(_fact(ids, START + day * DAY, "week_began", f"w{n}-{day}"))
            if r.random() < habit:
                at = START + day * DAY + r.randrange(1, DAY)
                found.append(_fact(ids, at, "bought", f"b{n}-{day}", total=r.randrange(5, 90)))
    return sorted(found, key=lambda fact: fact["occurred_at"])


def lines(facts: list[dict[str, Any]]) -> Iterator[bytes]:
    return (json.dumps(fact).encode() for fact in facts)


def _fact(ids: dict[str, Any], at: int, type: str, id: str, **properties: Any) -> dict[str, Any]:
    return {**ids, "id": id, "type": type, "occurred_at": to_text(at), "properties": properties}
