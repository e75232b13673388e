"""What an expression of a journey may ask of it: ``journey.key`` ``journey.fact.<field>`` ``wait.matched``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from overture.rules.report import did_you_mean
from overture.rules.scope import FACT_FIELDS, Inside, Scope
from overture.rules.spelling import spell
from overture.rules.tree import Field, Place
from overture.rules.types import BOOL, DATETIME, MAYBE, Type, merge

Tell = Callable[[str, str, Place, str], None]
"""Reports code, message, place and hint."""


def journey_field(node: Field, scope: Scope, tell: Tell) -> tuple[Type, int]:
    """The type of a field that begins at ``journey`` or ``wait``, and how many names of its path that takes."""
    inside = scope.journey
    match (node.root, *node.path):
        case ("wait", "matched", *_):
            return BOOL, 1
        case ("wait", *_):
            tell("condition.unknown_field", "A wait has only `matched`", node.place, "Write wait.matched.")
        case (_, "entered_at", *_):
            return DATETIME, 1
        case (_, "key", *_) if inside is not None and inside.key is not None:
            return inside.key, 1
        case (_, "key", *_):
            tell("journey.key_missing", "The journey has no key", node.place, "Write key: fact.cart above its steps.")
        case (_, "fact", name, *_) if inside is not None:
            return _begun(node, name, inside, scope, tell), 2
        case _:
            name = node.path[0]
            hint = "Write journey.fact.name." if name == "fact" else did_you_mean(name, ("key", "entered_at", "fact"))
            tell("condition.unknown_field", f"A journey has no `{spell(node)[:80]}`", node.place, hint)
    return MAYBE, len(node.path)


def _begun(node: Field, name: str, inside: Inside, scope: Scope, tell: Tell) -> Type:
    """A field of the fact that began the journey: not all facts that can begin it need to have it."""
    if name in FACT_FIELDS:
        return FACT_FIELDS[name]
    kinds = [scope.field_of(fact_type, name) for fact_type in sorted(inside.types)]
    found = [kind for kind in kinds if kind is not None]
    if not found:
        names = frozenset[str]().union(*(scope.names_of(fact_type) for fact_type in inside.types))
        message = f"No fact that is known to begin this journey has a field {name!r}"
        tell("condition.unknown_field", message, node.place, did_you_mean(name, names))
        return MAYBE
    kind = merge(found)
    return replace(kind, optional=kind.optional or inside.open or len(found) < len(kinds))
