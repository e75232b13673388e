"""Near misses: rules of which all but one of several parts held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from overture.match.closures import Test, compile_condition
from overture.match.folding import fold, is_constant
from overture.model import Contact, Fact
from overture.rules.reach import conjuncts, walk
from overture.rules.ruleset import Rule
from overture.rules.spelling import spell
from overture.rules.tree import Literal, Node


class NearMisses:
    """Looks for them among the rules of a program. What a fact type needs is compiled when it first comes."""

    def __init__(self, rules_by_type: Mapping[str, Sequence[Rule]]) -> None:
        self._rules = rules_by_type
        self._compiled: dict[str, list[tuple[Rule, list[tuple[str, Test]]]]] = {}

    def find(self, fact: Fact, contact: Contact) -> Iterator[tuple[Rule, str]]:
        """Each rule that missed by one part, and the text of that part. The type of the fact is none of the parts."""
        for rule, parts in self._of_type(fact.type):
            failing = [text for text, holds in parts if not holds(fact, contact)]
            if len(failing) == 1:
                yield rule, failing[0]

    def _of_type(self, type: str) -> list[tuple[Rule, list[tuple[str, Test]]]]:
        found = self._compiled.get(type)
        if found is None:
            split = [(rule, list(_parts(rule.when, type))) for rule in self._rules.get(type, ())]
            found = self._compiled[type] = [
                (rule, [(text, compile_condition(part)) for text, part in parts])
                for rule, parts in split
                if len(parts) > 1 and not any(isinstance(part, Literal) for _, part in parts)
            ]
        return found


def _parts(when: Node, type: str) -> Iterator[tuple[str, Node]]:
    """What has to hold of facts of a type, each in the author's words, or in those of what it is a part of."""
    for written in conjuncts(when):
        folded = fold(written, type)
        if is_constant(folded, True):
            continue
        if folded == written:
            yield spell(written), written
            continue
        texts = {spell(part) for part in walk(written)}
        for part in conjuncts(folded):
            text = spell(part)
            yield (text if text in texts else spell(written)), part
