"""Where a name in a condition leads: into the fact, the contact, or what a journey knows of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from overture.model import Contact, Fact
from overture.rules.tree import ORDINALS, Field

Get = Callable[[Fact, Contact], Any]

IN_JOURNEY = {"journey": "$journey", "wait": "$wait"}
"""Where, in the context of the fact that a journey is shown, it finds what it knows of itself:
``{"key": …, "entered_at": …, "fact": {…}}`` and ``{"matched": …}``.
"""

NAMES = ("segments", "lists")  # contact fields that are sets of names


def field_of(field: Field) -> Get:
    """What stands there, None where nothing does."""
    path = field.path
    name = path[0]
    if field.root in ORDINALS:
        i, get = ORDINALS.index(field.root), field_of(Field("fact", path))
        return lambda f, c: get(cast(Sequence[Fact], f)[i], c)  # see `compile_relation`
    if field.root == "fact":
        if path == ("type",):
            return lambda f, c: f.type
        if path == ("id",):
            return lambda f, c: f.id
        if path == ("occurred_at",):
            return lambda f, c: f.occurred_at
        if name == "context":
            below = path[1:]
            return lambda f, c: _walk(f.context, below)
        if len(path) == 1:
            return lambda f, c: f.properties.get(name)
        return lambda f, c: _walk(f.properties, path)
    if field.root in IN_JOURNEY:
        place = IN_JOURNEY[field.root]
        return lambda f, c: _walk(f.context.get(place), path)
    if path == ("id",):
        return lambda f, c: c.id
    if name in NAMES:
        if len(path) > 1:
            return lambda f, c: None
        return (lambda f, c: sorted(c.segments)) if name == "segments" else (lambda f, c: sorted(c.lists))
    if name == "scores":
        return _score(path[1:])
    if len(path) == 1:
        return lambda f, c: c.traits.get(name)
    return lambda f, c: _walk(c.traits, path)


def _walk(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if value.__class__ is not dict:
            return None
        value = value.get(name)
    return value


def _score(path: tuple[str, ...]) -> Get:
    """0 when never set; a keyed score has no value as a whole."""
    match path:
        case (name,):

            def plain(f: Fact, c: Contact) -> Any:
                value = c.scores.get(name, 0)
                return None if type(value) is dict else value

            return plain
        case (name, key):

            def keyed(f: Fact, c: Contact) -> Any:
                value = c.scores.get(name)
                return value.get(key, 0) if isinstance(value, dict) else 0

            return keyed
        case _:
            return lambda f, c: None
