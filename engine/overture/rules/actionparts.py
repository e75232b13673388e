"""Parts of actions: the names that they may use, values and expressions; read and checked."""

from __future__ import annotations

from dataclasses import dataclass

from overture.rules.condition import check_value, expression
from overture.rules.infer import Types
from overture.rules.models import Models
from overture.rules.presence import Present
from overture.rules.reading import Reading, literal
from overture.rules.report import did_you_mean
from overture.rules.ruleset import (
    Choice,
    ListDecl,
    ScoreDecl,
    TemplateDecl,
)
from overture.rules.scope import Scope
from overture.rules.scripts import Scripts
from overture.rules.tree import Literal, Node
from overture.rules.types import ANY, STRING, Type
from overture.rules.yamltext import Mapping, Scalar, YamlNode


@dataclass(frozen=True, slots=True)
class Declared:
    """What the actions of one document may name, beside its scope."""

    channels: frozenset[str]
    scores: dict[str, ScoreDecl]
    lists: dict[str, ListDecl]
    templates: dict[str, TemplateDecl]
    computed: frozenset[str]  # segments with `when`
    scripts: Scripts
    journeys: frozenset[str]
    choices: dict[str, Choice | None]  # None: something is wrong with it
    models: Models


class ActionParts(Reading):
    """What the readers of actions share: the names they look up, and values."""

    def __init__(self, reading: Reading, scope: Scope, declared: Declared) -> None:
        super().__init__(reading.report)
        self.scope = scope
        self.declared = declared
        self.present: Present = frozenset()  # of the actions that are being read
        self.types: Types = None  # of the facts that they run on

    def journey(self, node: YamlNode, what: str) -> Scalar | None:
        name = self.text(node, what)
        if name and name.text not in self.declared.journeys:
            hint = did_you_mean(name.text, self.declared.journeys, "Declare it under journeys.")
            self.report.add("journey.unknown", f"There is no journey {name.text!r}", name, hint)
        return name

    def choice(self, body: Mapping, *keys: str) -> str:
        """The one of the keys that is there; empty and reported for none or several."""
        there = [key for key in keys if key in body.items]
        if len(there) == 1:
            return there[0]
        named = f"{', '.join(map(repr, keys[:-1]))} and {keys[-1]!r}"
        self.report.add("action.choice", f"Exactly one of {named} is needed", body)
        return ""

    def trait(self, name: Scalar) -> Type | None:
        kind = self.scope.traits.get(name.text)
        if kind is None:
            hint = did_you_mean(name.text, self.scope.traits, "Declare it under traits.")
            self.report.add("trait.unknown", f"There is no trait {name.text!r}", name, hint)
        return kind

    def value(self, node: YamlNode, expected: Type, types: Types) -> Node | None:
        r"""A literal, or an expression where the text begins with ``=`` (``\=`` for a text that begins so)."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            if node.value.startswith("="):
                return self.computed(node, expected, types)
            if node.value.startswith("\\="):
                return Literal(node.value[1:], node.place) if self.fits(STRING, expected, node) else None
        value = literal(node)
        if value is None:
            hint = "To remove a trait, use unset." if isinstance(node, Scalar) and node.value is None else ""
            self.report.add("value.type", "A value is a text, a number, a boolean, or a list of these", node, hint)
            return None
        return (
            value
            if self.fits(check_value(value, types, self.scope, self.report, node.pointer), expected, node)
            else None
        )

    def computed(self, node: Scalar, expected: Type, types: Types) -> Node | None:
        value = expression(node, 1, self.scope, self.report)
        if value is None:
            return None
        before = len(self.report.diagnostics)
        kind = check_value(value, types, self.scope, self.report, node.pointer, self.present)
        if len(self.report.diagnostics) > before or not self.fits(kind, expected, node):
            return None
        if kind.optional and not expected.optional and expected is not ANY:
            self.report.add("value.may_be_missing", "The value may be missing", node, "Ask has(…) in the condition.")
        return value

    def fits(self, kind: Type, expected: Type, node: YamlNode) -> bool:
        if kind.fits(expected):
            return True
        hint = "An expression begins with =." if kind == STRING else ""
        if expected.kind == "datetime":
            hint = 'A time comes from a fact: "= fact.occurred_at".'
        self.report.add("value.type", f"{str(expected).capitalize()} is needed here, and this is {kind}", node, hint)
        return False
