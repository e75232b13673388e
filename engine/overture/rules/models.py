"""The section ``models``: what is predicted of a contact, from what, and how it is learned."""

from __future__ import annotations

from overture.model.artefact import FEATURES
from overture.rules.asking import Asking
from overture.rules.condition import check_value
from overture.rules.durations import DAY
from overture.rules.keys import MODEL, MODEL_KINDS
from overture.rules.learning import Model, edition_of
from overture.rules.reading import FIELD_NAME, Reading
from overture.rules.scope import Scope
from overture.rules.tree import Node
from overture.rules.yamltext import Mapping, Scalar, YamlNode

MODELS = 10  # of one ruleset
LONGEST = 366 * DAY
OPEN = 20  # examples of one contact and model of which it is not known yet what came


class Models(Asking):
    def __init__(self, reading: Reading, scope: Scope) -> None:
        super().__init__(reading, scope)
        self.declared: dict[str, Model] = {}
        self.named: frozenset[str] = frozenset()  # all that are there, those too that are wrong

    def read(self, node: YamlNode | None, scripts: frozenset[str]) -> dict[str, Model]:
        """After everything that expressions may name. ``scripts``: names that scores may go by as well."""
        self.named = frozenset(node.items) if isinstance(node, Mapping) else frozenset()
        if isinstance(node, Mapping) and len(node.items) > MODELS:
            self.report.add("model.limits", f"A ruleset has at most {MODELS} models", node, "Split the ruleset.")
            return {}
        for name, value, key in self.entries(node, "models"):
            taken = "plugin's scorer" if name in self.scope.pure.scorers else "script" if name in scripts else ""
            if taken:
                self.report.add("model.taken", f"A {taken} is called {name!r} too", key, "Choose another name.")
            body = self.body(value, f"The model {name!r}")
            if body is not None and (model := self.model(name, body, key)) is not None:
                self.declared[name] = model
        return self.declared

    def model(self, name: str, body: Mapping, key: Scalar) -> Model | None:
        whole = self.keys(body, MODEL)
        self.text(body.items.get("description"), "description")
        predict, types = self.on_facts(body.items.get("predict"))
        within = self.span(body, "within")
        every = self.span(body, "every") or within
        if within > LONGEST:
            message = "What came of it would be known after more than a year"
            self.report.add("model.limits", message, body.items["within"], "At most 366d.")
        elif within > OPEN * every:
            message = f"More than {OPEN} examples of a contact would wait at a time for what comes of them"
            self.report.add("model.limits", message, body.items["every"], "Note one less often.")
        features = self.features(body.items.get("features"))
        otherwise = self.number(body.items.get("otherwise"), "otherwise")
        if otherwise is not None and not 0 <= otherwise <= 1:
            self.report.add("model.limits", "A probability is from 0 to 1", body.items["otherwise"])
        kind = self.one_of(body.items.get("kind"), "kind", MODEL_KINDS)
        if not whole or predict is None or not within or features is None:
            return None
        edition = edition_of(predict, within, features)
        said = None if otherwise is None else float(otherwise)
        online = "batch" if kind == "batch" else "online"
        return Model(name, self.scope.owner, online, predict, types, within, every, features, said, edition, key.place)

    def features(self, node: YamlNode | None) -> dict[str, Node] | None:
        """Expressions over the contact; None where one of them is wrong."""
        found: dict[str, Node] = {}
        entries = list(self.entries(node, "features", FIELD_NAME))
        if not 1 <= len(entries) <= FEATURES and isinstance(node, Mapping):
            self.report.add("model.limits", f"A model has 1 to {FEATURES} features", node)
        for name, value, _ in entries:
            parsed = self.parsed(value, f"The feature {name!r}", ("contact",))
            if parsed is None:
                continue
            scalar, tree = parsed
            kind = check_value(tree, None, self.scope, self.report, scalar.pointer)
            if kind.kind not in ("number", "int", "bool", "string", "any"):
                hint = (
                    'Of an instant take its age, in days: age(last(…)) / days("1d").' if kind.kind == "datetime" else ""
                )
                self.report.add(
                    "model.feature", f"A feature is a number, a text or a boolean, and this is {kind}", scalar, hint
                )
            found[name] = tree
        return found if found and len(found) == len(entries) else None

    def span(self, body: Mapping, which: str) -> int:
        """In ms; 0 where it is not said."""
        text = self.text(body.items.get(which), which)
        return self.duration(text, "condition.duration") if text else 0
