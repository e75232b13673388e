"""What is certainly there, where a condition holds."""

from __future__ import annotations

from overture.rules.reach import conjuncts
from overture.rules.tree import Call, Compare, Field, History, Node

Present = frozenset[object]
"""What is certainly there at some place: fields, and the ids of series that have a fact."""


def certain(when: Node) -> Present:
    """The fields that are there wherever the condition holds: asked for by ``has``, or compared with something."""
    compared = [side for term in conjuncts(when) if isinstance(term, Compare) for side in (term.left, term.right)]
    return vouched(when) | {key_of(side) for side in compared if isinstance(side, Field)}


def vouched(node: Node) -> Present:
    """What ``has`` and ``seen`` ask for beside the other terms."""
    found: set[object] = set()
    for term in conjuncts(node):
        match term:
            case Call("has", (Field() as field,)):
                found.add(key_of(field))
            case History("seen"):
                found.add(key_of(term))
            case _:
                pass
    return frozenset(found)


def key_of(node: Field | History) -> object:
    """The same for a field, or a series, wherever it is written."""
    return placeless(node) if isinstance(node, Field) else node.series.id


def placeless(node: Node) -> Field:
    """The field without its place, for comparison; anything else stands for no field."""
    return Field(node.root, node.path) if isinstance(node, Field) else Field("fact", ())
