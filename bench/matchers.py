"""Facts per second of the two matchers, side by side, for 1, 10, 100 and 1,000 one-fact rules.

``literals``: each rule tests another path, so that routing finds the one that can fire.
``ranges``: each rule tests a number against an interval, so that every rule must be tried.

Run ``python bench/matchers.py``; ratios between columns mean more than the figures of a busy machine.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from overture.match import Matcher, build
from overture.model import Contact, Fact
from overture.rules.ruleset import Rule
from overture.rules.tree import And, Compare, Field, Node
from overture.rules.tree import Literal as Value

SIZES = (1, 10, 100, 1000)
SECONDS = 0.3
ROUNDS = 3


def rules_of(shape: str, size: int) -> list[Rule]:
    on_view = Compare("==", Field("fact", ("type",)), Value("page_viewed"))
    rules: list[Rule] = []
    for i in range(size):
        if shape == "literals":
            test: Node = Compare("==", Field("fact", ("path",)), Value(f"/page/{i}"))
        else:
            n = Field("fact", ("n",))
            test = And((Compare(">=", n, Value(i * 10)), Compare("<", n, Value(i * 10 + 10))))
        rules.append(Rule(f"r{i}", "bench", "", And((on_view, test)), frozenset({"page_viewed"}), ()))
    return rules


def facts_of(size: int) -> list[Fact]:
    """100 facts, each of which fires one rule."""
    picks = [(k * 37) % size for k in range(100)]
    return [
        Fact(f"f{k}", "page_viewed", "ada", 0, 0, {"path": f"/page/{i}", "n": i * 10 + 3, "referrer": "search"})
        for k, i in enumerate(picks)
    ]


def facts_per_second(matcher: Matcher, facts: list[Fact]) -> float:
    """The best of `ROUNDS` rounds of `SECONDS` each."""
    contact = Contact("ada", traits={"country": "DE"})
    assert all(len(matcher.match(fact, contact)) == 1 for fact in facts)
    best = 0.0
    for _ in range(ROUNDS):
        done, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < SECONDS:
            for fact in facts:
                matcher.match(fact, contact)
            done += len(facts)
        best = max(best, done / spent)
    return best


def run() -> list[dict[str, Any]]:
    """One row per shape and size: ``{"shape", "rules", "durable", "reference", "compile_s"}``, facts per second."""
    kinds: tuple[Literal["durable", "reference"], ...] = ("durable", "reference")
    rows: list[dict[str, Any]] = []
    for shape in ("literals", "ranges"):
        for size in SIZES:
            row: dict[str, Any] = {"shape": shape, "rules": size}
            for kind in kinds:
                started = time.perf_counter()
                matcher = build(kind, rules_of(shape, size))
                row[f"{kind}_compile_s"] = round(time.perf_counter() - started, 3)
                row[kind] = round(facts_per_second(matcher, facts_of(size)))
            rows.append(row)
    return rows


def main() -> None:
    print(f"{'rules':>22} {'durable':>12} {'reference':>12}   facts/s")
    for row in run():
        print(f"{row['rules']:>13} {row['shape']} {row['durable']:>12,} {row['reference']:>12,}")


if __name__ == "__main__":
    main()
