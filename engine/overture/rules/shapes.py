"""The shape of a mapping in a document: the one table that it is read by, described to editors by, and laid out by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]
"""A piece of JSON Schema, 2020-12."""


@dataclass(frozen=True, slots=True)
class Key:
    """What stands under a key; ``says`` is what an editor shows of it."""

    says: str
    value: Schema
    required: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of a mapping, in the order in which they are best written.

    ``later``: keys that have a place in the language and mean nothing in this version. ``rest``: what stands under any
    other key; None: there is none. ``beyond``: what a schema says of the mapping beside its keys.
    """

    keys: Mapping[str, Key]
    later: tuple[str, ...] = ()
    rest: Schema | None = None
    beyond: Schema = field(default_factory=dict[str, Any])

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(name for name, key in self.keys.items() if key.required)

    def schema(self, *, empty: bool = False) -> Schema:
        """As JSON Schema; ``empty``: the mapping may be left out after its key."""
        found: Schema = {
            "type": ["object", "null"] if empty else "object",
            "properties": {name: {"description": key.says, **key.value} for name, key in self.keys.items()},
            "additionalProperties": False if self.rest is None else self.rest,
        }
        if self.required:
            found["required"] = list(self.required)
        return {**found, **self.beyond}


def matching(pattern: re.Pattern[str]) -> Schema:
    """A text that matches as a whole."""
    return {"type": "string", "pattern": whole(pattern)}


def named(names: re.Pattern[str], value: Schema, *, empty: bool = True) -> Schema:
    """A mapping from names to values; ``empty``: it may be left out after its key."""
    kind = ["object", "null"] if empty else "object"
    return {"type": kind, "propertyNames": {"pattern": whole(names)}, "additionalProperties": value}


def some(value: Schema) -> Schema:
    """A list of such values, or one of them by itself."""
    return {"anyOf": [value, {"type": "array", "items": value}]}


def whole(pattern: re.Pattern[str]) -> str:
    return f"^(?:{pattern.pattern})$"
