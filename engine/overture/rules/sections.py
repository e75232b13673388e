"""The declaring sections of a ruleset: requires, facts, traits, consts, scores, lists, sessions, templates."""

from __future__ import annotations

from overture.model.fact import RESERVED_TYPES, TYPE_NAME
from overture.rules.blockdoc import Templates
from overture.rules.keys import DECAY, LIST, REQUIRES, SCORE, SESSIONS
from overture.rules.plugged import INSTALL
from overture.rules.reading import BLOCK_NAME, FIELD_NAME, NAME, Reading, literal
from overture.rules.report import did_you_mean
from overture.rules.ruleset import BlockDecl, ListDecl, ScoreDecl, Sessions, TemplateDecl
from overture.rules.scope import BUILT_IN, CONTACT_FIELDS, EITHER, FACT_FIELDS, KEYED, PLAIN, Scope
from overture.rules.scripts import Scripts
from overture.rules.template import Use
from overture.rules.tree import Place
from overture.rules.types import DECLARABLE, Type, parse_type
from overture.rules.yamltext import Mapping, YamlNode


class Sections(Reading):
    """Reads one document's declarations into ``scope`` and the declared objects."""

    def __init__(self, root: Mapping, scope: Scope, reading: Reading) -> None:
        super().__init__(reading.report)
        self.scope = scope
        self.root = root
        self.places: dict[str, Place] = {}  # see `Ruleset`
        self.requires = self._requires(root.items.get("requires"))
        self.facts = self._facts(root.items.get("facts"))
        self.traits = self._traits(root.items.get("traits"))
        self._consts(root.items.get("consts"))
        self.scores = self._scores(root.items.get("scores"))
        self.lists = self._lists(root.items.get("lists"))
        self.sessions = self._sessions(root.items.get("sessions"))
        self.blocks: dict[str, BlockDecl] = {}
        self.templates: dict[str, TemplateDecl] = {}
        self.uses: dict[str, list[Use]] = {}  # what each template needs of whoever sends it

    def _requires(self, node: YamlNode | None) -> dict[str, tuple[str, ...]]:
        mapping = self.mapping(node, "requires")
        if mapping is None:
            return {}
        self.keys(mapping, REQUIRES)
        found: dict[str, tuple[str, ...]] = {}
        for section, names in mapping.items.items():
            if section in REQUIRES.keys:
                texts = self.texts(names, f"Each of requires.{section}", BLOCK_NAME if section == "blocks" else NAME)
                found[section] = tuple(text.text for text in texts)
                self.places.update({f"requires/{section}/{text.text}": text.place for text in texts})
        self.scope.scores.update(dict.fromkeys(found.get("scores", ()), EITHER))
        self.scope.segments.update(found.get("segments", ()))
        self.scope.lists.update(found.get("lists", ()))
        for name in found.get("scorers", ()):
            if name not in self.scope.pure.scorers:
                hint = did_you_mean(name, self.scope.pure.scorers, INSTALL)
                place = self.places[f"requires/scorers/{name}"]
                self.report.at("scorer.unknown", f"There is no scorer {name!r}", place, mapping.pointer, hint)
        return found

    def _type(self, node: YamlNode) -> Type | None:
        text = self.text(node, "A type")
        if text is None:
            return None
        kind = parse_type(text.text)
        if kind is None:
            hint = did_you_mean(text.text.removesuffix("?"), DECLARABLE)
            self.report.add("type.unknown", f"{text.text[:80]!r} is not a type", text, hint)
        return kind

    def _facts(self, node: YamlNode | None) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for name, fields, key in self.entries(node, "facts", TYPE_NAME):
            if name in BUILT_IN:
                self.report.add(
                    "fact.built_in", f"The fact type {name!r} is built in", key, "Remove it; it is always known."
                )
                continue
            if name.startswith(RESERVED_TYPES):
                self.report.add(
                    "fact.built_in", f"Only Overture makes facts like {name!r}", key, "Choose another name."
                )
                continue
            types: dict[str, Type] = {}
            for field, kind_node, field_key in self.entries(fields, f"The fact type {name!r}", FIELD_NAME):
                if field in FACT_FIELDS:
                    self.report.add("field.reserved", f"Every fact has {field!r} by itself", field_key, "Remove it.")
                else:
                    types[field] = self._type(kind_node) or Type("any", optional=True)
                    self.places[f"facts/{name}/{field}"] = field_key.place
            self.scope.facts[name] = types
            found[name] = {field: _written(kind) for field, kind in types.items()}
        return found

    def _traits(self, node: YamlNode | None) -> dict[str, str]:
        for name, kind_node, key in self.entries(node, "traits", FIELD_NAME):
            if name in CONTACT_FIELDS:
                self.report.add("field.reserved", f"A contact has {name!r} by itself", key, "Choose another name.")
            else:
                self.scope.traits[name] = self._type(kind_node) or Type("any", optional=True)
                self.places[f"traits/{name}"] = key.place
        return {name: _written(kind) for name, kind in self.scope.traits.items()}

    def _consts(self, node: YamlNode | None) -> None:
        for name, value_node, _ in self.entries(node, "consts", FIELD_NAME):
            value = literal(value_node)
            if value is None:
                self.report.add("const.value", "A const is a text, a number, a boolean, or a list of these", value_node)
            else:
                self.scope.consts[name] = value

    def _scores(self, node: YamlNode | None) -> dict[str, ScoreDecl]:
        found: dict[str, ScoreDecl] = {}
        for name, value, key in self.entries(node, "scores"):
            mapping = self.mapping(value, f"The score {name!r}")
            decl = ScoreDecl(name)
            if mapping is not None:
                items = mapping.items
                self.keys(mapping, SCORE)
                per = self.text(items.get("per"), "per")
                if per is not None and not self.name(per.text, per, FIELD_NAME):
                    per = None
                low, high = self.number(items.get("min"), "min"), self.number(items.get("max"), "max")
                if low is not None and high is not None and low > high:
                    self.report.add("score.bounds", f"min {low} exceeds max {high}", items["min"])
                half_life = self._half_life(mapping, low, high)
                decl = ScoreDecl(name, per.text if per else "", low, high, half_life)
            if name in self.scope.scores:
                self.report.add(
                    "link.duplicate", f"The score {name!r} is required and declared", key, "Do one of the two."
                )
            self.scope.scores[name] = KEYED if decl.per else PLAIN
            if decl.half_life:
                self.scope.half_lives[name] = decl.half_life
            found[name] = decl
            self.places[f"scores/{name}"] = key.place
        return found

    def _half_life(self, score: Mapping, low: float | None, high: float | None) -> int:
        """Of ``decay``, in ms; 0 where the score does not decay, or not so."""
        decay = self.body(score.items.get("decay"), "decay")
        if decay is None or not self.keys(decay, DECAY):
            return 0
        if (low or 0) > 0 or (high or 0) < 0:
            self.report.add("score.decay", "The score decays to 0, which its bounds exclude", score.keys["decay"])
        text = self.text(decay.items["half_life"], "half_life")
        return self.duration(text, "score.decay") if text else 0

    def _lists(self, node: YamlNode | None) -> dict[str, ListDecl]:
        found: dict[str, ListDecl] = {}
        for name, value, key in self.entries(node, "lists"):
            mapping = self.mapping(value, f"The list {name!r}")
            decl = ListDecl(name)
            if mapping is not None and mapping.items:
                self.keys(mapping, LIST)
                texts = [self.text(mapping.items.get(k), k) for k in ("channel", "purpose")]
                channel, purpose = (t.text if t and self.name(t.text, t, NAME) else "" for t in texts)
                decl = ListDecl(name, channel, purpose)
            if name in self.scope.lists:
                self.report.add(
                    "link.duplicate", f"The list {name!r} is required and declared", key, "Do one of the two."
                )
            self.scope.lists.add(name)
            found[name] = decl
            self.places[f"lists/{name}"] = key.place
        return found

    def _sessions(self, node: YamlNode | None) -> Sessions | None:
        mapping = self.mapping(node, "sessions")
        if mapping is None or not self.keys(mapping, SESSIONS):
            return None
        self.places["sessions"] = self.root.keys["sessions"].place
        text = self.text(mapping.items["idle"], "idle")
        idle = self.duration(text, "condition.duration") if text else 0
        types = self.texts(mapping.items.get("types"), "Each of sessions.types", TYPE_NAME)
        known = self.scope.facts.keys() - BUILT_IN.keys()
        for name in types:
            if name.text not in known:
                hint = did_you_mean(name.text, known, "Declare it under facts.")
                self.report.add("fact.unknown", f"There is no fact type {name.text!r} that apps send", name, hint)
        return Sessions(idle, frozenset(name.text for name in types)) if idle else None

    def read_templates(self, scripts: Scripts) -> None:
        """After the traits, which templates may name, and the scripts that make their data."""
        read = Templates(self, self.scope, frozenset(self.requires.get("blocks", ())))
        read.read(self.root.items.get("blocks"), self.root.items.get("templates"), scripts)
        self.blocks, self.templates, self.uses = read.blocks, read.templates, read.uses
        self.places.update({f"templates/{name}": place for name, place in read.places.items()})


def _written(kind: Type) -> str:
    return kind.kind + ("?" if kind.optional else "")
