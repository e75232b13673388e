"""Types of fields: as declared in a document, and as the checker reckons with them."""

from __future__ import annotations

from dataclasses import dataclass

from overture.model.pure import TYPES

DECLARABLE = TYPES
_GROUPS = {"string": "text", "int": "number", "number": "number", "datetime": "number", "bool": "boolean"}


_PHRASES = {"int": "an int", "object": "an object", "names": "a set of names", "any": "a value of any type"}


@dataclass(frozen=True, slots=True)
class Type:
    """``kind``: one of `DECLARABLE`, or ``names`` for ``contact.segments`` and ``contact.lists``.

    ``optional``: the value may be missing.
    """

    kind: str
    optional: bool = False

    @property
    def group(self) -> str:
        """What compares with what: text, number, boolean, list, object, names, any. A datetime is a number."""
        return _GROUPS.get(self.kind, self.kind)

    def fits(self, other: Type) -> bool:
        return "any" in (self.kind, other.kind) or self.group == other.group

    def __str__(self) -> str:
        return _PHRASES.get(self.kind, f"a {self.kind}")


STRING = Type("string")
INT = Type("int")
NUMBER = Type("number")
BOOL = Type("bool")
DATETIME = Type("datetime")
LIST = Type("list")
NAMES = Type("names")
ANY = Type("any")
MAYBE = Type("any", optional=True)


def parse_type(text: str) -> Type | None:
    """``string``, ``int?`` … ; None where it is no type."""
    kind = text.removesuffix("?")
    return Type(kind, text.endswith("?")) if kind in DECLARABLE else None


def merge(types: list[Type]) -> Type:
    """The type of a field that several fact types have."""
    kinds = {t.kind for t in types}
    optional = any(t.optional for t in types)
    if len(kinds) == 1:
        return Type(kinds.pop(), optional)
    return Type("number" if kinds == {"int", "number"} else "any", optional)
