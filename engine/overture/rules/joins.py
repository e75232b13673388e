"""Joins as they are written: ``when: {all: [{first: …}, {second: …}], within: 7d}``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from overture.rules.asking import Asking
from overture.rules.condition import check_part
from overture.rules.historic import LONGEST_WINDOW
from overture.rules.keys import JOIN
from overture.rules.reach import conjuncts, walk
from overture.rules.rewrite import rewrite
from overture.rules.ruleset import Join, Part
from overture.rules.scope import FACT_FIELDS
from overture.rules.tree import ORDINALS, And, Field, Node, Or, Ordinal, Place
from overture.rules.yamltext import Mapping, Sequence, YamlNode


@dataclass(frozen=True, slots=True)
class _Read:
    when: Node
    types: frozenset[str]
    relation: Node | None


def condition_of(join: Join, place: Place) -> Node:
    """Holds where a fact matches one of the parts by itself."""
    return Or(tuple(part.when for part in join.parts), place)


class Joins(Asking):
    def read(self, node: Mapping) -> Join | None:
        if not self.keys(node, JOIN):
            return None
        within = self.text(node.items["within"], "within")
        ms = self.duration(within, "condition.duration") if within else 0
        if within and ms > LONGEST_WINDOW:
            self.report.add("history.too_long", "A join remembers facts for two years at most", within)
        parts = self.parts(node.items["all"])
        return Join(_parts(parts), ms) if parts and ms else None

    def parts(self, node: YamlNode) -> list[_Read]:
        """All of the parts, or none where something is wrong with one."""
        if not isinstance(node, Sequence) or not 2 <= len(node.items) <= len(ORDINALS):
            self.report.add("join.parts", "A join has two to four parts", node, "Begin with - first: fact.type == …")
            return []
        types: dict[str, frozenset[str]] = {}
        found: list[_Read] = []
        for ordinal, item in zip(ORDINALS, node.items, strict=False):
            if not isinstance(item, Mapping) or list(item.items) != [ordinal]:
                where = next(iter(item.keys.values()), item) if isinstance(item, Mapping) else item
                hint = f"The parts are named {', '.join(ORDINALS)}, in this order."
                self.report.add("join.parts", f"This part is named {ordinal!r}", where, hint)
                return []
            part = self.part(item.items[ordinal], ordinal, types)
            types[ordinal] = part.types if part else frozenset()
            if part:
                found.append(part)
        return found if len(found) == len(node.items) else []

    def part(self, node: YamlNode, ordinal: Ordinal, before: dict[str, frozenset[str]]) -> _Read | None:
        found = self.parsed(node, roots=(*before, "fact", "contact"))
        if found is None:
            return None
        scalar, whole = found
        own: list[Node] = []
        related: list[Node] = []
        for term in conjuncts(whole):
            reads_others = any(isinstance(p, Field) and p.root in before for p in walk(term))
            (related if reads_others else own).append(term)
        when = _every(own, whole.place)
        types = check_part(whole, when, before, self.scope, self.report, scalar.pointer, scalar.locator()(0))
        if not types:
            return None
        for each in (each for term in related for each in walk(term)):
            if isinstance(each, Field) and each.root != "contact" and each.path[0] == "context":
                message = "The context of a fact is not kept until the other facts of a join come"
                hint = "Ask for it where nothing is said of the other parts."
                self.report.at("condition.unknown_field", message, each.place, scalar.pointer, hint)
        named = [rewrite(term, lambda n: _named(n, ordinal)) for term in related]
        return _Read(when, types, _every(named, whole.place) if named else None)


def _every(terms: list[Node], place: Place) -> Node:
    return terms[0] if len(terms) == 1 else And(tuple(terms), place)


def _named(node: Node, ordinal: Ordinal) -> Node | None:
    return replace(node, root=ordinal) if isinstance(node, Field) and node.root == "fact" else None


def _parts(read: list[_Read]) -> tuple[Part, ...]:
    relations = [part.relation for part in read if part.relation is not None]
    return tuple(
        Part(part.when, part.types, part.relation, frozenset(_properties(ordinal, relations)))
        for ordinal, part in zip(ORDINALS, read, strict=False)
    )


def _properties(ordinal: Ordinal, relations: Iterable[Node]) -> Iterable[str]:
    for relation in relations:
        for node in walk(relation):
            if isinstance(node, Field) and node.root == ordinal and node.path[0] not in FACT_FIELDS:
                yield node.path[0]
