"""The durable matcher: conditions lowered to durable-rules networks, the default where durable-rules is installed.

Every rule that fires, fires by an activation of the engine; the reference answers only for a fact on which the engine
failed. One process may hold several (the old program and the new one); each is for one thread, like the engine itself,
which never lets go of the interpreter's lock.

Cost, measured on one core: about 22 kB a conjunction and 150 kB a network resident (1,000 rules: 25 MB), and 0.1 s
to compile 1,000 rules. Dropping a matcher gives the memory back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from overture.match.lowering import MAX_TESTS, Conjunction, Test, lower
from overture.match.network import MAX_CONJUNCTIONS, EngineFailed, Network
from overture.match.reference import Reference
from overture.match.routing import Index, Route, routes
from overture.model import Contact, Fact
from overture.rules.ruleset import Rule
from overture.rules.tree import Field

Lowered = tuple[Route, list[Conjunction]]


class Durable:
    """Evaluates the conditions of ``rules`` in durable-rules networks.

    ``fallbacks`` counts the facts that the reference answered for, ``resets`` the networks that were started afresh.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._reference = Reference(rules)
        self._types: dict[str, Index[Network]] = {}
        self.networks: list[Network] = []
        self.fallbacks = 0
        self.resets = 0
        for batch in _batches(routes(rules)):
            network = Network([(route.position, c) for route, alternatives in batch for c in alternatives])
            self.networks.append(network)
            first = batch[0][0]
            literals = [x for route, _ in batch for x in route.literals]
            for fact_type in first.types:
                self._types.setdefault(fact_type, Index()).add(network, first.field, literals)

    def match(self, fact: Fact, contact: Contact) -> list[Rule]:
        """The rules whose condition holds, in the order in which the rules were given."""
        index = self._types.get(fact.type)
        if index is None:
            return []
        hits: list[int] = []
        try:
            for network in index.find(fact, contact):
                network.evaluate(fact, contact, hits)
        except EngineFailed:
            self.resets += 1
            self.fallbacks += 1
            return self._reference.match(fact, contact)
        rules = self._rules
        if len(hits) < 2:
            return [rules[n] for n in hits]
        return [rules[n] for n in sorted(set(hits))]

    def close(self) -> None:
        """Give the engine's memory back now; the matcher must not be used afterwards."""
        for network in self.networks:
            network.close()


def _batches(routes: Iterable[Route]) -> Iterator[list[Lowered]]:
    """Rules that share a network: looked up in the same way, and together within the engine's limits."""
    groups: dict[tuple[frozenset[str], Field | None], list[Route]] = {}
    for route in routes:
        groups.setdefault((route.types, route.field), []).append(route)
    for group in groups.values():
        # Equal literals side by side: a fact is then shown to as few networks as possible.
        group.sort(key=lambda r: [f"{type(x).__name__}{x}" for x in r.literals])
        batch: list[Lowered] = []
        tests: set[Test] = set()
        size = 0
        for route in group:
            alternatives = lower(route.when)
            more: set[Test] = {test for a in alternatives for test in a}
            if batch and (size + len(alternatives) > MAX_CONJUNCTIONS or len(tests | more) > MAX_TESTS):
                yield batch
                batch, tests, size = [], set[Test](), 0
            batch.append((route, alternatives))
            tests |= more
            size += len(alternatives)
        yield batch
