"""A form that asks for traits bit by bit: what it may ask, and which of that a visitor is asked now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from overture.rules.types import Type

IDENTIFIER = "email"  # the trait by which a form comes to know whom it speaks with
ASKABLE = ("string", "int", "number", "bool", "datetime")


@dataclass(frozen=True, slots=True)
class FormField:
    """``kind``: one of `ASKABLE`. ``prefill``: an identified visitor sees it filled in where it is known already."""

    trait: str
    kind: str
    label: str
    required: bool = False
    prefill: bool = False
    options: tuple[str | int | float | bool, ...] = ()

    @property
    def identifies(self) -> bool:
        """Whether it is asked beside the others, until it is known who the visitor is."""
        return self.required and self.trait == IDENTIFIER


@dataclass(frozen=True, slots=True)
class Form:
    """``ask``: how many unknown fields at a time. ``fact``: the type that each submission becomes; ``about``: its
    fields, which the page says and not the visitor.
    """

    name: str
    fields: tuple[FormField, ...]
    ask: int
    fact: str
    about: Mapping[str, Type] = field(default_factory=dict[str, Type])


def shown(
    form: Form, known: Collection[str], values: Mapping[str, Any] | None = None
) -> list[tuple[FormField, Any | None]]:
    """The fields to show, in their order, each with its value where it is shown filled in.

    ``known``: the traits that are not to be asked again. ``values``: those of an identified visitor; None: it is not.
    """
    found: list[tuple[FormField, Any | None]] = []
    left = form.ask
    for each in form.fields:
        if values is not None and each.prefill and each.trait in values:
            found.append((each, values[each.trait]))
        elif each.identifies and (values is None or each.trait not in known):
            found.append((each, None))
        elif each.trait not in known and left:
            left -= 1
            found.append((each, None))
    return found
