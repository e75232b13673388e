"""The reference matcher: closures behind the routing index. It defines what the durable matcher must answer."""

from __future__ import annotations

from collections.abc import Sequence

from overture.match.closures import Test, compile_condition
from overture.match.folding import is_constant
from overture.match.routing import Index, routes
from overture.model import Contact, Fact
from overture.rules.ruleset import Rule

Entry = tuple[int, Test | None]  # position of the rule, what is left to be tested


class Reference:
    """Evaluates the conditions of ``rules`` as compiled closures. Immutable once built."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._types: dict[str, Index[Entry]] = {}
        for route in routes(rules):
            test = None if is_constant(route.rest, True) else compile_condition(route.rest)
            for fact_type in route.types:
                index = self._types.setdefault(fact_type, Index())
                index.add((route.position, test), route.field, route.literals)

    def match(self, fact: Fact, contact: Contact) -> list[Rule]:
        """The rules whose condition holds, in the order in which the rules were given."""
        index = self._types.get(fact.type)
        if index is None:
            return []
        hits = [n for n, test in index.find(fact, contact) if test is None or test(fact, contact)]
        hits.sort()
        rules = self._rules
        return [rules[n] for n in hits]
