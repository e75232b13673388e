"""The section ``forms``, read and checked."""

from __future__ import annotations

from overture.model.fact import TYPE_NAME
from overture.rules.form import ASKABLE, Form, FormField
from overture.rules.keys import ASK_LIMIT, FORM, FORM_FIELD
from overture.rules.reading import Reading, literal
from overture.rules.report import Report, did_you_mean
from overture.rules.scope import BUILT_IN, Scope
from overture.rules.tree import Items, Literal, Place
from overture.rules.types import Type
from overture.rules.yamltext import Mapping, Scalar, Sequence, YamlNode

_FITS = {"string": (str,), "int": (int,), "number": (int, float), "bool": (bool,), "datetime": (int,)}


class Forms(Reading):
    """After the traits and facts: fields are declared traits, and what a form becomes is a declared type of fact."""

    def __init__(self, report: Report, scope: Scope, places: dict[str, Place]) -> None:
        super().__init__(report)
        self.scope = scope
        self.places = places

    def read(self, node: YamlNode | None) -> dict[str, Form]:
        found: dict[str, Form] = {}
        for name, value, key in self.entries(node, "forms"):
            body = self.body(value, f"The form {name!r}")
            if body is not None and (form := self.form(name, body)):
                found[name] = form
                self.places[f"forms/{name}"] = key.place
        return found

    def form(self, name: str, body: Mapping) -> Form | None:
        whole = self.keys(body, FORM)
        self.text(body.items.get("description"), "description")
        fields = self.fields(body.items.get("fields"))
        ask = self.whole(body.items["ask"], "ask", 1, ASK_LIMIT) if "ask" in body.items else None
        fact, about = self.fact(body.items.get("fact"))
        return Form(name, fields, ask or max(len(fields), 1), fact, about) if whole else None

    def fields(self, node: YamlNode | None) -> tuple[FormField, ...]:
        if node is None:
            return ()
        if not isinstance(node, Sequence) or not node.items:
            self.report.add("ruleset.shape", "fields is a list with a field at least", node, "Begin each with a dash.")
            return ()
        found: dict[str, FormField] = {}
        for item in node.items:
            body = self.body(item, "A field")
            made = self.field(body) if body is not None else None
            if body is not None and made is not None:
                if made.trait in found:
                    self.report.add("form.field", f"The form asks {made.trait!r} twice", body.items["trait"])
                found[made.trait] = made
        return tuple(found.values())

    def field(self, body: Mapping) -> FormField | None:
        self.keys(body, FORM_FIELD)
        trait, label = self.text(body.items.get("trait"), "trait"), self.text(body.items.get("label"), "label")
        required, prefill = (self.switch(body.items.get(which), which) for which in ("required", "prefill"))
        declared = self.scope.traits.get(trait.text) if trait else None
        if trait is None:
            return None
        if declared is None:
            hint = did_you_mean(trait.text, self.scope.traits, "Declare it under traits.")
            self.report.add("trait.unknown", f"There is no trait {trait.text!r}", trait, hint)
            return None
        kind = self.kind(body.items.get("type"), trait, declared)
        options = self.options(body.items.get("options"), kind) if kind else ()
        words = label.text if label else trait.text.replace("_", " ").capitalize()
        return FormField(trait.text, kind, words, required, prefill, options) if kind else None

    def kind(self, node: YamlNode | None, trait: Scalar, declared: Type) -> str:
        """What the field takes, by itself that of the trait; empty where it cannot be asked (reported)."""
        said = self.one_of(node, "type", ASKABLE) if node is not None else declared.kind
        if said and said not in ASKABLE:
            hint = f"Give the field a type: {', '.join(ASKABLE)}." if said == "any" else "Ask for its parts instead."
            self.report.add("form.field", f"{trait.text!r} is {declared}, which cannot be asked", trait, hint)
            return ""
        if said and node is not None and not Type(said).fits(declared):
            self.report.add("value.type", f"The trait {trait.text!r} is {declared}, the field {Type(said)}", node)
        return said

    def options(self, node: YamlNode | None, kind: str) -> tuple[str | int | float | bool, ...]:
        if node is None:
            return ()
        value = literal(node)
        if not isinstance(value, Items) or not value.items:
            self.report.add("ruleset.shape", "options is a list with a value at least", node, "Write [small, large].")
            return ()
        found = [item.value for item in value.items if isinstance(item, Literal)]
        if wrong := [item for item in found if type(item) not in _FITS[kind]]:
            self.report.add("value.type", f"The option {wrong[0]!r} is not {Type(kind)}", node)
        return tuple(found)

    def fact(self, node: YamlNode | None) -> tuple[str, dict[str, Type]]:
        text = self.text(node, "fact")
        if text is None or not self.name(text.text, text, TYPE_NAME):
            return "", {}
        if text.text in BUILT_IN:
            hint = "Declare a type of its own: the answers are taken as traits by themselves."
            self.report.add("fact.built_in", f"The fact type {text.text!r} is built in", text, hint)
        elif text.text not in self.scope.facts:
            hint = did_you_mean(text.text, self.scope.facts.keys() - BUILT_IN.keys(), "Declare it under facts.")
            self.report.add("fact.unknown", f"There is no fact type {text.text!r}", text, hint)
        about = self.scope.facts.get(text.text, {})
        if wrong := next((name for name, kind in about.items() if kind.kind not in (*ASKABLE, "any")), None):
            hint = "Declare texts and numbers in its place."
            self.report.add("form.field", f"A page cannot say {wrong!r}, which is {about[wrong]}", text, hint)
        return text.text, dict(about)
