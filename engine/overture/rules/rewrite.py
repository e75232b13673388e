"""A tree with some of its nodes replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from overture.rules.tree import And, Arithmetic, Call, Compare, Items, Node, Not, Or


def rewrite(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """The tree with each node that ``change`` answers for replaced by the answer; what is below that stays."""
    changed = change(node)
    if changed is not None:
        return changed

    def below(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        return tuple(rewrite(n, change) for n in nodes)

    match node:
        case Items(items):
            return replace(node, items=below(items))
        case And(terms) | Or(terms):
            return replace(node, terms=below(terms))
        case Not(term):
            return replace(node, term=rewrite(term, change))
        case Compare(_, left, right) | Arithmetic(_, left, right):
            return replace(node, left=rewrite(left, change), right=rewrite(right, change))
        case Call(_, arguments):
            return replace(node, arguments=below(arguments))
        case _:
            return node
