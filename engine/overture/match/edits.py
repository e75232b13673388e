"""Trying a condition with one thing different: a field, a name in a set, or what a feature of history answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from overture.match.closures import compile_condition, names_of
from overture.match.folding import shape
from overture.match.units import Unit
from overture.match.values import is_number
from overture.model import Contact, Fact
from overture.rules.rewrite import rewrite
from overture.rules.tree import Field, Literal, Node


@dataclass(frozen=True, slots=True)
class Edit:
    """``operand`` would be ``after`` (None: missing) instead of ``before``.

    With ``name`` the operand is a set of names (``contact.segments``), and the two say whether the name is in it.
    ``needs``: what would do, in words: ``25 or more``, ``"DE"``, ``anything but "x"``.
    """

    operand: Node
    before: Any
    after: Any
    needs: str
    name: str = ""
    unit: Unit = ""

    @property
    def target(self) -> Any:
        """Equal for edits of one thing."""
        return shape(self.operand), self.name


def editable(node: Node) -> bool:
    """Whether the node can be told as the thing to change; who a contact or a fact is cannot."""
    if isinstance(node, Field):
        return node.path != ("id",) and node.root in ("fact", "contact")
    return not isinstance(node, Literal)


def holds_with(node: Node, edits: Sequence[Edit], fact: Fact, contact: Contact) -> bool | None:
    """Whether the condition would hold; None where an edit cannot be made."""
    made = applied(node, edits, fact, contact)
    return None if made is None else compile_condition(made[0])(made[1], made[2])


def applied(node: Node, edits: Sequence[Edit], fact: Fact, contact: Contact) -> tuple[Node, Fact, Contact] | None:
    """The condition, fact and contact with the edits made; the ones given stay as they are. None: it cannot be made.

    A field is changed in the fact or the contact. What else a condition reads (a feature of history, a decaying score,
    the clock) is put into the condition as a literal, because no single change of a contact stands for it.
    """
    contact = contact.copy()
    for edit in edits:
        match edit.operand:
            case Field("fact", path):
                changed = _fact(fact, path, edit.after)
                if changed is None:
                    return None
                fact = changed
            case Field("contact", path):
                if not _contact(contact, edit, path):
                    return None
            case operand:
                if not isinstance(edit.after, str | int | float):
                    return None
                node = put(node, shape(operand), Literal(edit.after, operand.place))
    return node, fact, contact


def _fact(fact: Fact, path: tuple[str, ...], value: Any) -> Fact | None:
    if path == ("type",):
        return msgspec.structs.replace(fact, type=value) if isinstance(value, str) else None
    if path == ("occurred_at",):
        return msgspec.structs.replace(fact, occurred_at=value) if type(value) is int else None
    if path == ("id",):
        return None
    if path[0] == "context":
        context = _with(fact.context, path[1:], value) if len(path) > 1 else None
        return None if context is None else msgspec.structs.replace(fact, context=context)
    properties = _with(fact.properties, path, value)
    return None if properties is None else msgspec.structs.replace(fact, properties=properties)


def _contact(contact: Contact, edit: Edit, path: tuple[str, ...]) -> bool:
    """Make the edit in a contact of one's own; False where it cannot be made."""
    kind = names_of(edit.operand)
    if kind:
        names: dict[str, int] = getattr(contact, kind)
        if edit.after:
            names[edit.name] = contact.clock
        else:
            names.pop(edit.name, None)
        return True
    match path:
        case ("scores", name):
            if isinstance(contact.scores.get(name), dict) or not is_number(edit.after):
                return False
            contact.scores[name] = edit.after
        case ("scores", name, key):
            keyed = contact.scores.get(name, {})
            if not isinstance(keyed, dict) or not is_number(edit.after):
                return False
            contact.scores[name] = {**keyed, key: edit.after}
        case ("id" | "scores" | "segments" | "lists", *_):
            return False
        case _:
            traits = _with(contact.traits, path, edit.after)
            if traits is None:
                return False
            contact.traits = traits
    return True


def _with(values: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any] | None:
    """A copy with another value at the path (None removes it); None where no object is in the way there."""
    name, *rest = path
    if rest:
        inner = values.get(name)
        if inner is not None and not isinstance(inner, dict):
            return None
        value = _with(cast("dict[str, Any]", inner or {}), tuple(rest), value)
        if value is None:
            return None
    elif value is None:
        return {k: v for k, v in values.items() if k != name}
    return {**values, name: value}


def put(tree: Node, what: Any, instead: Node) -> Node:
    """The tree with one part, wherever it stands, replaced; ``what`` is its `shape`."""
    return rewrite(tree, lambda node: instead if shape(node) == what else None)
