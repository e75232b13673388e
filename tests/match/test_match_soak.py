"""Many evaluations in one process: the same answers to the end, and the same memory.

``OVERTURE_MATCH_SOAK=5000000`` makes it long.
"""

from __future__ import annotations

import os
import sys
from random import Random
from typing import Any

import matchoracle
import pytest
from matchkit import rss, rule
from matchpools import CONTACT_FIELDS, FACT_FIELDS, FLOATS, INTEGERS, NOT_FINITE, TEXTS, TYPES

from overture.match import Reference, available
from overture.model import Contact, Fact
from overture.rules.ruleset import Rule
from overture.rules.tree import And, Arithmetic, Call, Compare, Field, Items, Literal, Node, Not, Or

pytestmark = [
    pytest.mark.skipif(not available(), reason="durable-rules is not installed"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm"),
]

EVALUATIONS = int(os.environ.get("OVERTURE_MATCH_SOAK", "50000"))


class Maker:
    """Random rules, facts and contacts from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.pick = self.random.choice

    def literal(self) -> Any:
        return self.pick([self.pick(TEXTS), self.pick(INTEGERS), self.pick(FLOATS), self.pick([True, False])])

    def value(self, depth: int = 2) -> Any:
        roll = self.random.random()
        if depth and roll < 0.1:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        if depth and roll < 0.2:
            return {self.pick("ab"): self.value(depth - 1) for _ in range(2)}
        return self.pick([None, self.pick(NOT_FINITE), *[self.literal() for _ in range(18)]])

    def field(self) -> Field:
        return (
            Field("fact", self.pick(FACT_FIELDS))
            if self.random.random() < 0.7
            else Field("contact", self.pick(CONTACT_FIELDS))
        )

    def operand(self, depth: int) -> Node:
        roll = self.random.random()
        if depth and roll < 0.15:
            return Arithmetic(self.pick("+-*/%"), self.operand(depth - 1), self.operand(depth - 1))
        if depth and roll < 0.25:
            return Call(self.pick(["len", "lower", "abs", "round"]), (self.operand(depth - 1),))
        return self.field() if roll < 0.7 else Literal(self.literal())

    def condition(self, depth: int = 3) -> Node:
        roll = self.random.random()
        if depth and roll < 0.4:
            terms = tuple(self.condition(depth - 1) for _ in range(self.random.randint(1, 3)))
            return self.pick([And, And, Or])(terms)
        if depth and roll < 0.5:
            return Not(self.condition(depth - 1))
        if roll < 0.6:
            return Compare(
                self.pick(["in", "not in"]), self.field(), Items(tuple(Literal(self.literal()) for _ in range(3)))
            )
        if roll < 0.7:
            return Call(self.pick(["startswith", "contains"]), (self.operand(1), self.operand(1)))
        return Compare(self.pick(["==", "==", "!=", "<", "<=", ">", ">="]), self.field(), self.operand(1))

    def rules(self, count: int) -> list[Rule]:
        return [rule(f"r{i}", self.condition(), self.pick([("t",), ("u",), TYPES])) for i in range(count)]

    def fact(self) -> Fact:
        properties = {name: self.value() for name in "abc" if self.random.random() < 0.8}
        return Fact(
            self.pick(["f1", "a"]), self.pick(TYPES), "ada", self.pick([0, 5]), 0, {**properties, "n": self.nested()}
        )

    def nested(self) -> Any:
        return {"a": {"b": self.value()}} if self.random.random() < 0.5 else {"a": self.value()}

    def contact(self) -> Contact:
        return Contact(
            self.pick(["ada", "a"]),
            traits={"a": self.value(), "b": self.value(), "n": self.nested()},
            scores={"s": self.pick(INTEGERS[:6]), "k": {"x": self.pick(FLOATS)}},
            segments={self.pick(TEXTS): 1},
            lists={self.pick(TEXTS): 1},
        )


def test_soak() -> None:
    from overture.match.durable import Durable

    make = Maker(20_26)
    rules = make.rules(200)
    durable, reference = Durable(rules), Reference(rules)
    seen = [(make.fact(), make.contact()) for _ in range(400)]
    answers = [matchoracle.firing(rules, fact, contact) for fact, contact in seen]
    assert sum(map(len, answers)) > 2000, "the rules fire too seldom to prove anything"
    for (fact, contact), answer in zip(seen, answers, strict=True):
        assert [r.name for r in reference.match(fact, contact)] == answer
    level = 0
    for n in range(EVALUATIONS):
        if n == EVALUATIONS // 5:
            level = rss()
        at = make.random.randrange(len(seen))
        fact, contact = seen[at]
        assert [r.name for r in durable.match(fact, contact)] == answers[at]
    assert rss() - level < 2_000, "kB gained after the first fifth"
    assert (durable.fallbacks, durable.resets) == (0, 0)


def test_old_and_new_program_side_by_side_and_memory_after_many_swaps() -> None:
    from overture.match.durable import Durable

    make = Maker(7)
    seen = [(make.fact(), make.contact()) for _ in range(20)]
    old_rules = make.rules(60)
    old = Durable(old_rules)
    level = 0
    for swap in range(60):
        if swap == 20:
            level = rss()
        new_rules = make.rules(60)
        new = Durable(new_rules)
        for fact, contact in seen:
            assert [r.name for r in old.match(fact, contact)] == matchoracle.firing(old_rules, fact, contact)
            assert [r.name for r in new.match(fact, contact)] == matchoracle.firing(new_rules, fact, contact)
        old, old_rules = new, new_rules  # nothing refers to the old one any more, which gives its memory back
    assert rss() - level < 4_000, "kB gained over 40 swaps"
